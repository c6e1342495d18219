"""Cases from trees, folders and public collections of exactly their layouts."""

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from ct_files import (
    body,
    write_enhanced,
    write_readings,
    write_segmentation,
    write_series,
    write_slice,
    write_structures,
    write_volume,
)
from tomolens.cases import Preprocessing, from_manifest
from tomolens.cases.slices import SliceChoice
from tomolens.cases.sources.class_folders import index_folder
from tomolens.cases.sources.dicom_tree import IndexOptions, index_dicom
from tomolens.cases.sources.download import COLLECTIONS, download, plan_download
from tomolens.cases.sources.lidc_idri import index_lidc_idri
from tomolens.cases.sources.lndb import index_lndb
from tomolens.cases.sources.tcga import MASKS, index_tcga
from tomolens.cases.stored import read_source
from tomolens.errors import CaseError, SettingsError

FULL = Preprocessing(size=24, window=(-400, 400))


def rows_of(path):
    with path.open() as file:
        return list(csv.DictReader(file))


def written(index, tmp_path):
    """An index written and read again, as the command line does it."""
    index.write(tmp_path / "out" / "cases.csv")
    return from_manifest(tmp_path / "out" / "cases.csv", FULL, index.classes)


@pytest.fixture
def tree(tmp_path):
    """Two patients with three series, one with contrast agent; a localizer; a file that is none."""
    root = tmp_path / "tree"
    write_series(root / "a" / "1", body(seed=1), ContrastBolusAgent="OMNIPAQUE 350", PatientID="A1")
    write_series(root / "a" / "2", body(seed=2), ContrastBolusAgent="None", PatientID="A1")
    write_series(root / "b" / "1", body(seed=3), PatientID="B2")
    write_slice(root / "b" / "scout.dcm", body()[0], ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    (root / "b" / "bad.dcm").write_text("nothing")
    return root


def test_labels_from_tags_with_the_rule_and_the_counts_written_out(tree, tmp_path):
    index = index_dicom(tree, IndexOptions(slices=SliceChoice.parse("count=2")))
    cases = written(index, tmp_path)
    assert sorted(cases.labels.tolist()) == [0, 0, 0, 0, 1, 1]
    assert len(set(cases.patients)) == 2
    about = json.loads((tmp_path / "out" / "cases.index.json").read_text())
    assert "ContrastBolusAgent (0018,0010) is present, not empty and not NONE" in about["rule"]
    assert about["values"] == {
        "ContrastBolusAgent 'OMNIPAQUE 350': 1": 1,
        "ContrastBolusAgent 'NONE': 0": 1,
        "no ContrastBolusAgent: 0": 1,
    }
    assert about["left_out"] == {"localizers": 1}
    assert about["unusable"] == [{"file": str(tree / "b" / "bad.dcm"), "reason": "not a DICOM file"}]
    assert about["labels"] == {"with contrast": 2, "without contrast": 4}
    lines = "\n".join(index.summary())
    assert "6 cases of 3 scans of 2 patients, 0 with a mask" in lines
    assert "1 x ContrastBolusAgent 'OMNIPAQUE 350': 1" in lines
    with pytest.raises(CaseError, match=r"bad\.dcm: not a DICOM file"):
        index_dicom(tree, IndexOptions(on_error="stop"))


def test_slices_know_scan_position_and_patient(tree, tmp_path):
    index = index_dicom(tree, IndexOptions(slices=SliceChoice.parse("every=2")))
    entries = [entry for entry in index.entries if entry.label == 1]
    assert [entry.position for entry in entries] == [102.5, 107.5, 112.5]
    assert [entry.name for entry in entries] == [f"{entries[0].scan}-000{k}" for k in (1, 3, 5)]
    cases = written(index, tmp_path)
    again = [entry for entry in cases.entries if entry.label == 1]
    assert [entry.position for entry in again] == [102.5, 107.5, 112.5]
    for entry, height in zip(again, (1, 3, 5), strict=True):
        image = cases.read(entry).image
        assert image.shape == (1, 24, 24)
        np.testing.assert_array_equal(image, FULL.image(body(seed=1)[height].astype(np.float32)))


@pytest.mark.parametrize("column", ["series", "patient", "image", "instance"])
def test_labels_from_a_csv(tree, tmp_path, column):
    headers = IndexOptions(keep_patients=True).read_tree(tree).headers
    ct = [header for header in headers if not header.is_localizer]
    values = {"series": "series", "patient": "patient", "image": "place", "instance": "instance"}
    wanted = {getattr(header, values[column]): int(header.patient == "B2") for header in ct}
    (tmp_path / "labels.csv").write_text(f"{column},label\n" + "".join(f"{k},{v}\n" for k, v in wanted.items()))
    index = index_dicom(tree, IndexOptions(labels=tmp_path / "labels.csv"))
    assert sum(entry.label for entry in index.entries) == 6
    assert len(index.entries) == 18
    assert index.rule == f"labels from labels.csv, by {column}"


def test_slices_without_a_label_are_left_out_and_counted(tree, tmp_path):
    (tmp_path / "labels.csv").write_text("patient,label\nB2,with contrast\n")
    index = index_dicom(tree, IndexOptions(labels=tmp_path / "labels.csv"))
    assert len(index.entries) == 6
    assert index.left_out["slices without a label in labels.csv"] == 12
    (tmp_path / "labels.csv").write_text("name,label\nB2,1\n")
    with pytest.raises(CaseError, match="no column that tells images apart"):
        index_dicom(tree, IndexOptions(labels=tmp_path / "labels.csv"))


def test_segmentations_and_structures_go_to_the_series_they_refer_to(tmp_path):
    root = tmp_path / "tree"
    paths = write_series(root / "a", body(seed=1))
    other = write_series(root / "b", body(seed=2))
    write_series(root / "c", body(seed=3))
    heart = np.zeros((6, 20, 24), bool)
    heart[1:4, 5:15, 5:15] = True
    write_segmentation(root / "seg.dcm", paths, {"heart": heart})
    square = np.array([[-5, -15, 105], [3, -15, 105], [3, -8, 105], [-5, -8, 105]], float)
    write_structures(root / "rt.dcm", other[0], {"heart": [square]})
    index = index_dicom(root)
    assert {len(entry.mask) for entry in index.entries} == {0, 1}
    cases = written(index, tmp_path)
    masks = [case.mask for case in cases if case.mask is not None]
    assert len(masks) == 12
    assert sum(mask.any() for mask in masks) == 3 + 1
    largest = index_dicom(root, IndexOptions(slices=SliceChoice.parse("largest-mask=1")))
    assert len(largest.entries) == 2  # series c has no mask and gives no slice
    assert {entry.position for entry in largest.entries} == {102.5, 105.0}
    assert not any(entry.mask for entry in index_dicom(root, IndexOptions(with_masks=False)).entries)


@pytest.mark.parametrize(
    ("text", "total", "chosen"),
    [
        ("all", 4, [0, 1, 2, 3]),
        ("every=3", 10, [1, 4, 7]),
        ("every=30", 10, [9]),
        ("count=2", 10, [2, 7]),
        ("count=1", 5, [2]),
        ("count=9", 3, [0, 1, 2]),
        ("largest-mask=2", 5, [3, 4]),
    ],
)
def test_slice_choices(text, total, chosen):
    assert SliceChoice.parse(text).of(list(range(total)), lambda number: number) == chosen


@pytest.mark.parametrize("text", ["some", "every", "every=0", "count=-1", "count=x", "all=2", "largest-mask="])
def test_slice_choices_that_make_no_sense(text):
    with pytest.raises(SettingsError, match="expected all, every=N, count=N, largest-mask=N or volume"):
        SliceChoice.parse(text)


def test_a_folder_with_one_sub_folder_a_class(tmp_path):
    root = tmp_path / "classes"
    write_series(root / "with" / "scan", body(seed=1), PatientID="A1")
    volume = body(seed=2)
    write_volume(root / "without" / "ann" / "chest.nii.gz", volume)
    write_volume(root / "without" / "ann" / "chest_mask.nii.gz", (volume > 0).astype(np.uint8))
    write_volume(root / "without" / "ann" / "later.mhd", volume + 1, packed=False)
    (root / "without" / "ann" / "broken.nii").write_text("nothing")
    index = index_folder(root, IndexOptions(classes=("without", "with")))
    cases = written(index, tmp_path)
    assert cases.labels.tolist() == [0] * 12 + [1] * 6
    assert len(set(cases.patients)) == 2
    names = [entry.scan for entry in cases.entries]
    assert len(set(names)) == 3
    assert not any(word in name for word in ("without", "ann", "chest", "later") for name in names)
    assert sum(bool(entry.mask) for entry in cases.entries) == 6
    np.testing.assert_array_equal(cases[2].mask, FULL.mask(volume[2] > 0))
    np.testing.assert_array_equal(cases[2].image, FULL.image(volume[2].astype(np.float32)))
    assert index.unusable[0].path.name == "broken.nii"
    assert index_folder(root).classes == ("with", "without")
    for wrong in (("with", "never"), ("with", "with"), ("with",)):
        message = f"expected one sub-folder for each of the classes {', '.join(wrong)}, there are: with, without"
        with pytest.raises(CaseError, match=message):
            index_folder(root, IndexOptions(classes=wrong))


def test_a_folder_of_three_classes(tmp_path):
    for label, name in enumerate(("cyst", "abscess", "tumour")):
        for number in range(2):
            write_volume(tmp_path / "in" / name / f"{number}.nii", body(seed=10 * label + number), packed=False)
    index = index_folder(tmp_path / "in")
    assert index.classes == ("abscess", "cyst", "tumour")
    assert index.rule == "the sub-folders abscess (0), cyst (1) and tumour (2) are the classes"
    ordered = index_folder(tmp_path / "in", IndexOptions(classes=("cyst", "abscess", "tumour")))
    cases = written(ordered, tmp_path)
    assert np.bincount(cases.labels).tolist() == [12, 12, 12]
    for case in cases:
        assert Path(cases.entries[cases.names.index(case.name)].source).parent.name == ordered.classes[case.label]
    two = index_folder(tmp_path / "in", IndexOptions(classes=("tumour", "cyst")))
    assert np.bincount([entry.label for entry in two.entries]).tolist() == [12, 12]


def test_labels_of_three_classes_from_a_table(tmp_path):
    lines = ["label,patient"]
    for number, name in enumerate(("tumour", "0", "abscess")):
        write_series(tmp_path / "in" / f"scan{number}", body(seed=number), PatientID=f"A{number}")
        lines.append(f"{name},A{number}")
    (tmp_path / "labels.csv").write_text("\n".join(lines))
    options = IndexOptions(labels=tmp_path / "labels.csv", classes=("cyst", "abscess", "tumour"), keep_patients=True)
    index = index_dicom(tmp_path / "in", options)
    assert index.classes == ("cyst", "abscess", "tumour")
    assert {entry.patient: entry.label for entry in index.entries} == {"A0": 2, "A1": 0, "A2": 1}
    assert "labels: 6 cyst (0), 6 abscess (1), 6 tumour (2)" in index.summary()
    with pytest.raises(CaseError, match=r"label 'tumour' is outside the classes 0 \(without contrast\), 1 \(with"):
        index_dicom(tmp_path / "in", replace(options, classes=None))
    with pytest.raises(SettingsError, match=r"classes cyst, abscess, tumour: only a CSV of labels"):
        index_dicom(tmp_path / "in", replace(options, labels=None))
    with pytest.raises(SettingsError, match="classes a, a: expected at least two different names"):
        index_dicom(tmp_path / "in", replace(options, classes=("a", "a")))


def lidc_tree(root):
    """TCIA's layout: patient / study / series, readings beside the slices, a chest radiograph."""
    for number, agent in ((1, None), (2, "Isovue")):
        patient = f"LIDC-IDRI-{number:04d}"
        tags = {} if agent is None else {"ContrastBolusAgent": agent}
        series = f"1.3.6.1.4.1.14519.5.2.1.6279.6001.{number}"
        folder = root / "LIDC-IDRI" / patient / f"01-01-2000-NA-NA-{number}" / f"3000566.000000-NA-0{number}"
        names = [f"1-{index:03d}.dcm" for index in (3, 1, 6, 2, 5, 4)]
        write_series(folder, body(seed=number), names=names, series=series, PatientID=patient, **tags)
        square = [(5, 5), (5, 12), (12, 12), (12, 5)]
        outline = [(x, y) for x in range(5, 13) for y in range(5, 13) if x in (5, 12) or y in (5, 12)]
        ordered = sorted(outline, key=lambda point: np.arctan2(point[1] - 8.5, point[0] - 8.5))
        readers = [[(105.0, True, ordered)]] * number + [[(105.0, True, [square[0]])]]
        write_readings(folder / f"{patient}.xml", series, readers)
    radiograph = root / "LIDC-IDRI" / "LIDC-IDRI-0001" / "01-01-2000-NA-NA-9" / "1.000000-NA-9"
    write_slice(radiograph / "1-1.dcm", body()[0], Modality="DX", SOPClassUID="1.2.840.10008.5.1.4.1.1.1.1")
    (radiograph / "071.xml").write_text("<IdriReadMessage/>")
    return root


def test_lidc_idri_as_the_archive_lays_it_out(tmp_path):
    root = lidc_tree(tmp_path / "data")
    index = index_lidc_idri(root)
    cases = written(index, tmp_path)
    assert cases.labels.tolist() == [0] * 6 + [1] * 6
    assert len(set(cases.patients)) == 2
    assert {entry.consensus for entry in cases.entries} == {2}
    areas = [int(case.mask.sum()) for case in from_manifest(tmp_path / "out" / "cases.csv", Preprocessing(size=20))]
    assert [area > 0 for area in areas] == [False] * 8 + [True] + [False] * 3
    assert index.left_out == {"DX, not CT images": 1, "XML files that are no CT readings": 1}
    anyone = index_lidc_idri(root, IndexOptions(consensus=1, slices=SliceChoice.parse("largest-mask=1")))
    assert [entry.position for entry in anyone.entries] == [105.0, 105.0]


def test_scans_of_one_patient_share_a_pseudonym_and_a_side(tmp_path):
    root = lidc_tree(tmp_path / "data")
    write_series(root / "LIDC-IDRI" / "LIDC-IDRI-0001" / "later" / "s", body(seed=9), PatientID="LIDC-IDRI-0001")
    index = index_lidc_idri(root, IndexOptions(with_masks=False))
    assert index.scans == 3
    assert index.patients == 2
    assert all(entry.patient.startswith("P") and "LIDC" not in entry.patient for entry in index.entries)
    kept = index_lidc_idri(root, IndexOptions(keep_patients=True))
    assert {entry.patient for entry in kept.entries} == {"LIDC-IDRI-0001", "LIDC-IDRI-0002"}


def lndb_tree(root):
    """LNDb's layout: scans in data0, data1, .., masks a radiologist, tables."""
    for number, part in ((1, 0), (2, 0), (5, 1)):
        volume = body(seed=number)
        write_volume(root / f"data{part}" / f"LNDb-{number:04d}.mhd", volume, packed=False)
        for reader in range(1, 3 if number == 1 else 2):
            labels = np.zeros(volume.shape, np.uint8)
            labels[3, 5:10, 5 + reader : 12] = 1
            labels[4, 5:7, 5:7] = 2
            write_volume(root / "masks" / f"LNDb-{number:04d}_rad{reader}.mhd", labels, packed=False)
    (root / "trainset_csv").mkdir()
    (root / "trainset_csv" / "trainCTs.csv").write_text("LNDbID\n1\n2\n5\n7\n")
    (root / "trainset_csv" / "trainNodules.csv").write_text("LNDbID,RadID,FindingID,x,y,z,Nodule,Volume,Text\n")
    return root


def test_lndb_as_its_challenge_lays_it_out(tmp_path):
    root = lndb_tree(tmp_path / "data")
    with pytest.raises(CaseError, match="LNDb does not say which scans have contrast agent: give a CSV"):
        index_lndb(root)
    (tmp_path / "labels.csv").write_text("patient,label\nLNDb-0001,1\nLNDb-0002,0\n")
    index = index_lndb(root, IndexOptions(labels=tmp_path / "labels.csv"))
    cases = written(index, tmp_path)
    assert cases.labels.tolist() == [1] * 6 + [0] * 6
    assert index.left_out == {"scans without a label in labels.csv": 1, "scans of trainCTs.csv that are not here": 1}
    assert [entry.slice for entry in cases.entries[:6]] == list(range(6))
    assert [int(case.mask.any()) for case in cases] == [0, 0, 0, 1, 1, 0] * 2
    both = index_lndb(root, IndexOptions(labels=tmp_path / "labels.csv", consensus=2))
    areas = [int(read_mask_of(both, entry).sum()) for entry in both.entries]
    assert areas == [0, 0, 0, 25, 4, 0, *[0] * 6]


def read_mask_of(index, entry):
    reader = index.cases().read
    return reader.mask(entry, reader.image(entry))


def test_tcga_slices_carry_the_reference_masks(real_ct, tmp_path):
    source = real_ct / "tcga-contrast"
    index = index_tcga(source / "dicom", IndexOptions(labels=source / "cases.csv"))
    index.write(tmp_path / "cases.csv")
    cases = from_manifest(tmp_path / "cases.csv", Preprocessing(size=512))
    by_image = {case.fingerprint: case for case in from_manifest(source / "cases.csv", Preprocessing(size=512))}
    assert len(cases) == 66  # of 70 files, 4 are copies
    compared = 0
    for case in cases:
        reference = by_image[case.fingerprint]
        assert case.label == reference.label
        assert (case.mask is None) == (reference.mask is None)
        if case.mask is not None:
            compared += 1
            both = 2 * (case.mask & reference.mask).sum() / (case.mask.sum() + reference.mask.sum())
            assert both >= 0.97
    assert compared == 48
    assert (tmp_path / MASKS.name).read_bytes() == MASKS.read_bytes()


def test_an_index_of_nothing_says_why(tmp_path):
    root = tmp_path / "tree"
    write_slice(root / "scout.dcm", body()[0], ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    with pytest.raises(CaseError, match="no cases found: 1 localizers"):
        index_dicom(root).write(tmp_path / "cases.csv")
    with pytest.raises(CaseError, match="no such file or folder"):
        index_dicom(tmp_path / "none")


def test_a_multi_frame_series_gives_slices(tmp_path):
    write_enhanced(tmp_path / "tree" / "e.dcm", body())
    cases = written(index_dicom(tmp_path / "tree", IndexOptions(slices=SliceChoice.parse("count=2"))), tmp_path)
    assert [entry.slice for entry in cases.entries] == [1, 4]
    np.testing.assert_array_equal(cases[1].image, FULL.image(body()[4].astype(np.float32)))


def test_a_series_of_two_patients_gives_no_case(tmp_path):
    root = tmp_path / "tree"
    write_series(root / "a", body(seed=1), PatientID="A1")
    write_series(root / "b", body(seed=2), series="1.2.3", PatientID="B2")
    write_series(root / "c", body(seed=3, rows=30), series="1.2.3", PatientID="C3")
    write_series(root / "d", body(seed=4), series="1.2.4", PatientID="D4")
    write_series(root / "e", body(seed=5), series="1.2.4", PatientID="")
    index = index_dicom(root)
    assert index.patients == 2
    assert {one.reason.split(", S")[0] for one in index.unusable} == {"2 patients in one series"}
    assert len({entry.scan for entry in index.entries}) == 2
    with pytest.raises(CaseError, match="2 patients in one series"):
        index_dicom(root, IndexOptions(on_error="stop"))
    write_series(tmp_path / "mixed" / "f", body(seed=1), series="1.2.5", PatientID="F6")
    write_series(tmp_path / "mixed" / "g", body(seed=1), series="1.2.5", PatientID="G7", origin=(-10, -20, 115))
    with pytest.raises(CaseError, match="2 patients in one series"):
        read_source(tmp_path / "mixed")


def test_series_in_archives_are_indexed_and_read(tmp_path):
    paths = write_series(tmp_path / "series", body())
    (tmp_path / "tree").mkdir()
    shutil.make_archive(str(tmp_path / "tree" / "scan"), "zip", paths[0].parent)
    cases = written(index_dicom(tmp_path / "tree"), tmp_path)
    assert len(cases) == 6
    np.testing.assert_array_equal(cases[3].image, FULL.image(body()[3].astype(np.float32)))


def test_volumes_are_cases_of_three_dimensions_when_asked(tmp_path):
    write_series(tmp_path / "series", body())
    (tmp_path / "cases.csv").write_text("case,image,label,patient\na,series,1,p\n")
    case = from_manifest(tmp_path / "cases.csv", Preprocessing(size=8), dimensions=3)[0]
    assert case.image.shape == (1, 8, 8, 8)
    assert read_source(tmp_path / "series").hu.shape == (6, 20, 24)


class StandIn:
    """An index of the Imaging Data Commons with files of its layout, fetched from a folder."""

    def __init__(self, fails_at=None):
        self.fails_at = fails_at
        self.fetched = []
        rows = [
            (collection, f"PAT-{k}", modality, f"1.2.{k}.{modality}", 100.0)
            for collection in ("lidc_idri", "nlst")
            for k in range(3)
            for modality in ("CT", "DX")
        ]
        columns = ["collection_id", "PatientID", "Modality", "SeriesInstanceUID", "series_size_MB"]
        self.index = pd.DataFrame(rows, columns=columns)

    def download_from_selection(self, **options):
        assert options["use_s5cmd_sync"]
        for number, uid in enumerate(options["seriesInstanceUID"]):
            if number == self.fails_at:
                raise ConnectionError("the network\nis gone")
            row = self.index[self.index["SeriesInstanceUID"] == uid].iloc[0]
            layout = options["dirTemplate"].replace("%StudyInstanceUID", "1.2")
            for name in ("collection_id", "PatientID", "Modality", "SeriesInstanceUID"):
                layout = layout.replace(f"%{name}", str(row[name]))
            folder = Path(options["downloadDir"]) / layout
            series = write_series(folder, body(), series=uid, PatientID=row["PatientID"])
            self.fetched.append(series)


def test_downloads_say_their_size_first_and_can_be_indexed(tmp_path):
    said = []
    idc = StandIn()
    plan = plan_download(idc, "lidc-idri")
    assert str(plan) == "lidc-idri: 3 CT series of 3 patients, 300 MB"
    download(idc, plan, tmp_path / "data", said.append)
    assert said[0] == str(plan)
    assert "next: tomolens cases index lidc-idri" in said[-1]
    assert len(index_lidc_idri(tmp_path / "data").entries) == 18
    assert len(plan_download(idc, "lidc-idri", patients=1).series) == 1


def test_a_download_that_breaks_says_how_to_go_on(tmp_path):
    idc = StandIn(fails_at=1)
    said = []
    with pytest.raises(SettingsError, match="ConnectionError: the network is gone.*the same command goes on"):
        download(idc, plan_download(idc, "lidc-idri"), tmp_path, said.append)
    idc.fails_at = None
    download(idc, plan_download(idc, "lidc-idri"), tmp_path, said.append)
    assert any("are there already" in line for line in said)


def test_downloads_that_cannot_be(tmp_path, monkeypatch):
    idc = StandIn()
    with pytest.raises(SettingsError, match="LNDb is given out at"):
        plan_download(idc, "lndb")
    with pytest.raises(SettingsError, match="not in this version of the index"):
        plan_download(idc, "tcga")
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=1e6))
    with pytest.raises(SettingsError, match="300 MB are needed, 1 MB are free"):
        download(idc, plan_download(idc, "lidc-idri"), tmp_path, lambda line: None)


def test_the_real_index_of_the_commons_has_the_collections():
    idc_index = pytest.importorskip("idc_index", reason="the extra `download` is not installed")
    idc = idc_index.IDCClient()
    for collection in COLLECTIONS:
        assert plan_download(idc, collection).megabytes > 10_000
