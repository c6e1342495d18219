"""No identifier of a patient leaves the readers unless asked: not into an index, a cache, results or messages."""

import base64
import gzip
import io
import json
import re
import stat
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pydicom
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from typer.testing import CliRunner

from ct_files import IDENTITY, body, write_series, write_volume
from quick_study import SETTINGS, Moody
from tomolens.api import Study
from tomolens.cases import Preprocessing, from_manifest
from tomolens.cases.pseudonyms import own_salt, pseudonym
from tomolens.cases.sources.class_folders import index_folder
from tomolens.cases.sources.dicom_tree import IndexOptions, index_dicom
from tomolens.classifier import Classifier
from tomolens.cli import app
from tomolens.errors import SettingsError
from tomolens.study.settings import StudySettings

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


def opened(name, content, depth=3):
    """What a file holds, and what is packed in it: archives, Parquet, arrays, pictures' words, base64 in pages."""
    yield content
    if depth == 0:
        return
    inner = []
    if content[:2] == b"\x1f\x8b":
        inner.append(gzip.decompress(content))
    if content[:2] == b"PK":
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            inner += [archive.read(member) for member in archive.namelist()]
            inner.append("\n".join(archive.namelist()).encode())
    if name.endswith(".parquet"):
        table = pq.read_table(io.BytesIO(content))
        inner.append(repr((table.to_pydict(), table.schema.metadata)).encode())
    if content[:6] == b"\x93NUMPY":
        array = np.load(io.BytesIO(content), allow_pickle=False)
        inner.append(repr(array.tolist() if array.dtype.kind in "US" else "").encode())
    if content[:8] == b"\x89PNG\r\n\x1a\n":
        inner.append(repr(Image.open(io.BytesIO(content)).info).encode())
    if content[:2] == b"\x78\xda":
        inner.append(zlib.decompress(content))
    if content[:4] == b"%PDF":
        inner += [unpacked(stream) for stream in re.findall(rb"stream\r?\n(.*?)endstream", content, re.DOTALL)]
    if name.endswith(".html"):
        found = re.findall(rb"[A-Za-z0-9+/]{60,}={0,2}", content)
        inner += [base64.b64decode(text + b"=" * (-len(text) % 4)) for text in found if len(text) % 4 != 1]
        packed = re.findall(rb'"data":"([^"]*)"', content)
        inner += [base64.b85decode(text.replace(b",", b"<")) for text in packed]
    for part in inner:
        yield from opened("", part, depth - 1)


def unpacked(stream):
    try:
        return zlib.decompressobj().decompress(stream)
    except zlib.error:
        return stream


def leaks(folder, values):
    """Files below a folder that hold one of the values, in their name or anywhere inside."""
    found = []
    wanted = [value.encode("utf-8") for value in values] + [value.encode("unicode_escape") for value in values]
    for path in folder.rglob("*"):
        parts = [str(path.relative_to(folder)).encode()]
        if path.is_file():
            parts += opened(path.name, path.read_bytes())
        found += [(path.name, value) for value in wanted if any(value in part for part in parts)]
    return found


def test_leaks_are_found_wherever_they_are_packed(tmp_path):
    secret = {"Zwyczajna"}
    with zipfile.ZipFile(tmp_path / "a.bin", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x", gzip.compress(b"Zwyczajna"))
    np.savez_compressed(tmp_path / "b.npz", names=np.array(["Zwyczajna"]))
    pq.write_table(pa.table({"name": ["Zwyczajna"] * 9}), tmp_path / "c.parquet")
    words = PngInfo()
    words.add_text("Title", "Zwyczajna", zip=True)
    Image.new("L", (4, 4)).save(tmp_path / "d.png", pnginfo=words)
    (tmp_path / "e.html").write_bytes(base64.b64encode(gzip.compress(b"of patient Zwyczajna " + bytes(range(99)))))
    (tmp_path / "f-Zwyczajna").mkdir()
    assert {name for name, _ in leaks(tmp_path, secret)} == {
        "a.bin",
        "b.npz",
        "c.parquet",
        "d.png",
        "e.html",
        "f-Zwyczajna",
    }


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


SCANS = 6
QUICK = SETTINGS | {"cases": {"size": 16, "on_error": "skip"}, "examples": 4}


def dicom_input(folder):
    """Series with everything that headers say of a patient; folders and files called like patients too."""
    for number in range(SCANS):
        name = {"PatientID": f"P00123456{number:04d}", "PatientName": f"Nowak{number}^Anna"}
        agent = {"ContrastBolusAgent": "IOPAMIRO"} if number % 2 else {}
        place = folder / f"Nowak{number}_Anna" / "1931-02-03"
        write_series(place, body(2, 32, 32, seed=number), names=["Anna_a.dcm", "Anna_b.dcm"], **name, **agent)
    secrets = identifying(sorted(folder.rglob("*.dcm"))) | {f"P00123456{number:04d}" for number in range(SCANS)}
    broken = folder / "Nowak0_Anna" / "1931-02-03" / "Anna_a.dcm"
    index = index_dicom(folder)
    broken.write_bytes(broken.read_bytes()[:-100])
    return index, secrets | {"Nowak", "Anna_", "1931-02-03"}


def folder_input(folder):
    """Volumes whose folders, files, raw files and masks are called like patients; some damaged in every part."""
    for number in range(SCANS):
        place = folder / ("with" if number % 2 else "without") / f"Mueller{number}_Hansjoerg" / "1957-08-09"
        ending = ("nii.gz", "mhd", "nrrd")[number % 3]
        hu = body(2, 32, 32, seed=number)
        write_volume(place / f"Hansjoerg{number}_CT.{ending}", hu, packed=ending != "mhd")
        write_volume(place / f"Hansjoerg{number}_CT_mask.{ending}", (hu > 0).astype(np.uint8), packed=ending != "mhd")
    index = index_folder(folder, IndexOptions())
    next(folder.rglob("Hansjoerg1_CT.raw")).unlink()
    cut = next(folder.rglob("Hansjoerg3_CT_mask.nii.gz"))
    cut.write_bytes(cut.read_bytes()[:-40])
    return index, {"Mueller", "Hansjoerg", "1957-08-09", "CT_mask"}


def csv_input(folder):
    """A CSV with identifiers as hospitals have them, paths that tell, and columns that nobody asked for."""
    lines = ["case,image,label,patient,slice,name,born"]
    for number in range(SCANS):
        write_volume(folder / f"Lang{number}_Ida" / "ct.nii.gz", body(2, 32, 32, seed=number))
        patient = f"P0012345678{number:02d}" if number % 2 else f"PESEL 4405140{number:04d}"
        lines += [f"c{number}{k},Lang{number}_Ida/ct.nii.gz,{number % 2},{patient},{k},Ida,1944-05-14" for k in (0, 1)]
    lines[1] = lines[1].replace(",0,Ida", ",7,Ida")  # there is no slice 7
    (folder / "Kowalski_cohort.csv").write_text("\n".join(lines))
    cases = from_manifest(folder / "Kowalski_cohort.csv", Preprocessing(size=16))
    return cases, {"Lang", "P0012345678", "4405140", "1944-05-14", "Kowalski"}


@pytest.mark.parametrize("source", [dicom_input, folder_input, csv_input])
def test_no_name_identifier_or_date_of_the_input_is_in_the_results(tmp_path, source):
    found, secrets = source(tmp_path / "input")
    cases = found if source is csv_input else found.cases(Preprocessing(size=16))
    out = tmp_path / "results"
    study = Study(StudySettings.model_validate(QUICK), cases=cases, classifier=Classifier(Moody().eval()))
    study.run(out)
    skipped = json.loads((out / "study.json").read_text())["skipped"]
    assert skipped  # messages about damaged files are among the results
    assert any((out / "examples").iterdir())
    assert leaks(out, secrets | {str(tmp_path)}) == []


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
    assert pseudonym(pseudonym("MRN-1", "a"), "b") != pseudonym("MRN-1", "a")


@pytest.mark.parametrize("identifier", ["P001234567890", "P00123456789012345678", "P0123456789ab", "", "é"])
def test_identifiers_that_look_like_pseudonyms_become_pseudonyms(identifier):
    made = pseudonym(identifier, "a")
    assert made != identifier
    assert made == pseudonym(made, "a")
    assert not identifier or identifier not in made
    sealed = pseudonym("MRN-1", "a")
    changed = sealed[:-1] + ("0" if sealed[-1] != "0" else "1")
    assert pseudonym(changed, "a") != changed


def test_names_of_volumes_come_from_their_content(tmp_path):
    """Not from folders, not from the salt; a file keeps its name when it moves and when others join it."""
    for place, seed in (("no/Mueller_Hans/ct.nii.gz", 1), ("no/Nowak_Anna/ct.mhd", 2), ("yes/Lang_Ida.nrrd", 3)):
        write_volume(tmp_path / "a" / place, body(seed=seed), packed=not place.endswith(".mhd"))
    write_volume(tmp_path / "a" / "yes" / "Lang_Ida again.nrrd", body(seed=3))
    names = {Path(entry.source).name: entry.scan for entry in index_folder(tmp_path / "a").entries}
    assert len(set(names.values())) == 4
    assert names["Lang_Ida.nrrd"] == names["Lang_Ida again.nrrd"] + "-copy2"
    (tmp_path / "a" / "no" / "Mueller_Hans").rename(tmp_path / "a" / "yes" / "Somebody_Else")
    write_volume(tmp_path / "a" / "no" / "Aaron" / "first.nii", body(seed=9))
    again = {Path(entry.source).name: entry.scan for entry in index_folder(tmp_path / "a").entries}
    assert {name: again[name] for name in names} == names


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
