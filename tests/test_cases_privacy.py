"""No identifier of a patient leaves the readers unless asked: not into an index, a cache, results or messages."""

import io
import stat

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pydicom
import pytest
from typer.testing import CliRunner

from ct_files import IDENTITY, body, write_series
from tomolens.cases import from_manifest
from tomolens.cases.pseudonyms import own_salt, pseudonym
from tomolens.cli import app
from tomolens.errors import SettingsError

STUDY = """
name = "private"
examples = 2
[cases]
size = 32
folds = 2
[classifier.recipe]
architecture = "resnet18"
epochs = 1
batch_size = 4
[estimators]
names = ["backpropagation", "random"]
[metrics]
steps = 4
[statistics]
resamples = 100
"""


def identifying(paths):
    """Every value of the headers that tells who the patient is, and every UID but the standard's."""
    values = set(IDENTITY.values())
    for path in paths:
        header = pydicom.dcmread(path, stop_before_pixels=True)
        values |= {str(header[name].value) for name in IDENTITY if name in header}
        uids = ("SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID", "FrameOfReferenceUID")
        values |= {str(header[name].value) for name in uids}
    return {part for value in values for part in (value, *value.split("^")) if len(part) > 3}


def leaks(folder, values):
    """Files below a folder that hold one of the values, packed Parquet columns unpacked."""
    found = []
    for path in folder.rglob("*"):
        if not path.is_file():
            continue
        content = path.read_bytes()
        if path.suffix == ".parquet":
            content += repr(pq.read_table(path).to_pydict()).encode()
        if path.suffix == ".npz":
            with np.load(path, allow_pickle=False) as arrays:
                content += repr({name: arrays[name].tolist() for name in arrays if arrays[name].size < 100}).encode()
        text = content.decode("latin-1")
        found += [(path.name, value) for value in values if value in text]
    return found


@pytest.fixture
def hospital(tmp_path):
    """Fourteen scans of patients with names, as a hospital would export them."""
    paths = []
    for number in range(14):
        name = {"PatientID": f"HOSP-776655{number:03d}", "PatientName": f"Nowak{number}^Anna"}
        agent = {"ContrastBolusAgent": "IOPAMIRO"} if number % 2 else {}
        paths += write_series(tmp_path / "scans" / str(number), body(2, 32, 32, seed=number), **name, **agent)
    return paths


def test_nothing_that_identifies_leaves_a_study(hospital, tmp_path, monkeypatch):
    cache = tmp_path / "cache"
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    values = identifying(hospital)
    assert {"HOSP-776655000", "Nowak3", IDENTITY["AccessionNumber"]} <= values
    (tmp_path / "study.toml").write_text(STUDY)
    out, index = tmp_path / "results", tmp_path / "index"
    broken = hospital[0]
    run = CliRunner().invoke(
        app, ["cases", "index", "dicom", str(tmp_path / "scans"), "--out", str(index / "cases.csv")]
    )
    assert run.exit_code == 0, run.output
    broken.write_bytes(broken.read_bytes()[:-100])
    (tmp_path / "study.toml").write_text(STUDY.replace("[cases]", '[cases]\non_error = "skip"'))
    study = [str(tmp_path / "study.toml"), "--cases", str(index / "cases.csv"), "--out", str(out)]
    ran = CliRunner().invoke(app, ["study", *study])
    assert ran.exit_code == 0, ran.output
    assert "1 of 28 cases could not be read" in " ".join(ran.output.split())
    assert leaks(out, values) == []
    assert leaks(index, values) == []
    assert any(cache.rglob("*.parquet"))
    names = {value for value in values if not value.startswith(("1.", "2."))}  # UIDs tell files apart there
    assert leaks(cache, names) == []
    assert not any(value in run.output + ran.output for value in names)


def test_identifiers_are_kept_only_when_asked(hospital, tmp_path):
    out = tmp_path / "cases.csv"
    run = CliRunner().invoke(
        app, ["cases", "index", "dicom", str(tmp_path / "scans"), "--out", str(out), "--keep-patients"]
    )
    assert run.exit_code == 0
    assert "HOSP-776655003" in out.read_text()
    assert "Nowak" not in out.read_text()
    assert all(patient.startswith("P") for patient in from_manifest(out).patients)
    assert "HOSP-776655003" in from_manifest(out, keep_patients=True).patients


def test_pseudonyms_are_stable_and_need_the_salt():
    assert pseudonym("MRN-1", "a") == pseudonym("MRN-1 ", "a")
    assert pseudonym("MRN-1", "a") != pseudonym("MRN-1", "b")
    assert pseudonym("MRN-1", "a") != pseudonym("MRN-2", "a")
    assert pseudonym(pseudonym("MRN-1", "a"), "a") == pseudonym("MRN-1", "a")


def test_the_salt_is_made_once_for_the_user_alone(tmp_path, monkeypatch):
    monkeypatch.delenv("TOMOLENS_SALT")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    salt = own_salt()
    assert own_salt() == salt
    assert len(salt) == 32
    assert stat.S_IMODE((tmp_path / "tomolens" / "salt").stat().st_mode) == 0o600
    (tmp_path / "tomolens" / "salt").write_text("")
    with pytest.raises(SettingsError, match="an empty salt"):
        own_salt()
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "file"))
    with pytest.raises(SettingsError, match="the salt of pseudonyms cannot be kept"):
        own_salt()


def test_the_salt_does_not_show_in_the_numbers(hospital, tmp_path, monkeypatch):
    """Another user's pseudonyms give the same folds and the same tables."""
    (tmp_path / "study.toml").write_text(STUDY)
    tables = []
    for salt in ("one", "another"):
        monkeypatch.setenv("TOMOLENS_SALT", salt)
        out = tmp_path / salt
        index = [
            "index",
            "dicom",
            str(tmp_path / "scans"),
            "--out",
            str(out / "i" / "cases.csv"),
            "--slices",
            "count=1",
        ]
        assert CliRunner().invoke(app, ["cases", *index]).exit_code == 0
        study = [str(tmp_path / "study.toml"), "--cases", str(out / "i" / "cases.csv"), "--out", str(out / "r")]
        ran = CliRunner().invoke(app, ["study", *study])
        assert ran.exit_code == 0, ran.output
        tables.append({path.name: path.read_bytes() for path in (out / "r" / "tables").iterdir()})
    by_patient = [pd.read_csv(io.BytesIO(one.pop("patients.csv"))) for one in tables]
    assert tables[0] == tables[1]
    assert not by_patient[0].equals(by_patient[1])
    assert by_patient[0].drop(columns="patient").equals(by_patient[1].drop(columns="patient"))
