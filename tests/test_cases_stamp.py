"""Stamps: equal as long as nothing that decides what a case is has changed."""

import os
import shutil
import zipfile

import numpy as np
import pytest

import ct_files as files
from tomolens.cases import Cases, MaskChoice, Preprocessing, from_manifest, phantom
from tomolens.cases.implants import implanted
from tomolens.cases.stamp import Stamps


def stamps(cases):
    known = Stamps(cases)
    return [known.of(entry) for entry in cases.entries]


@pytest.fixture
def manifest(tmp_path):
    """A DICOM file, a folder of slices, a volume with a mask, and a file within an archive."""
    hu = files.body()
    files.write_slice(tmp_path / "a.dcm", hu[0])
    files.write_series(tmp_path / "series", hu)
    files.write_volume(tmp_path / "v.nii.gz", hu)
    files.write_volume(tmp_path / "m.nii.gz", (hu > 0).astype(np.uint8))
    with zipfile.ZipFile(tmp_path / "z.zip", "w") as archive:
        archive.write(tmp_path / "a.dcm", "in/a.dcm")
    lines = ["case,image,label,patient,mask", "a,a.dcm,0,p,", "s,series,1,q,", "v,v.nii.gz,0,r,m.nii.gz"]
    (tmp_path / "cases.csv").write_text("\n".join([*lines, "z,z.zip/in/a.dcm,1,s,"]) + "\n")
    return tmp_path / "cases.csv"


def read(manifest, *settings, **options):
    return from_manifest(manifest, *settings, keep_patients=True, **options)


def test_they_stay_what_they_are_and_are_of_one_case_each(manifest):
    found = stamps(read(manifest))
    assert found == stamps(read(manifest))
    assert len(set(found)) == 4
    assert None not in found


@pytest.mark.parametrize(
    ("file", "case"), [("a.dcm", 0), ("series", 1), ("v.nii.gz", 2), ("m.nii.gz", 2), ("z.zip", 3)]
)
def test_they_change_with_the_time_and_the_size_of_each_file(manifest, file, case):
    before = stamps(read(manifest))
    changed = manifest.parent / file
    changed = sorted(changed.iterdir())[1] if changed.is_dir() else changed
    state = changed.stat()
    os.utime(changed, ns=(state.st_atime_ns, state.st_mtime_ns + 1))
    later = stamps(read(manifest))
    assert [one == other for one, other in zip(before, later, strict=True)] == [place != case for place in range(4)]
    os.utime(changed, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert stamps(read(manifest)) == before
    with changed.open("ab") as opened:
        opened.write(b"more")
    os.utime(changed, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert stamps(read(manifest))[case] != before[case]


def test_a_folder_that_gains_a_file_is_another(manifest):
    before = stamps(read(manifest))
    some = sorted((manifest.parent / "series").iterdir())[0]
    shutil.copy2(some, some.with_name("more.dcm"))
    assert stamps(read(manifest))[1] != before[1]


def test_they_change_with_how_cases_are_read(manifest, monkeypatch):
    ways = [
        read(manifest),
        read(manifest, Preprocessing(64)),
        read(manifest, Preprocessing(window=(-1000.0, 400.0))),
        read(manifest, masks=MaskChoice(resample=True)),
        implanted(read(manifest).select([0, 2]), "nodule", share=1.0),
        implanted(read(manifest).select([0, 2]), "nodule", share=0.0),
        implanted(read(manifest).select([0, 2]), "nodule", seed=1, share=1.0),
        implanted(read(manifest).select([0, 2]), "nodule", share=1.0, diameters=(5.0, 6.0)),
    ]
    assert len({stamps(cases)[0] for cases in ways}) == len(ways)
    before = stamps(ways[0])
    monkeypatch.setattr("tomolens.cases.stamp.code", lambda: "another version")
    assert not set(stamps(ways[0])) & set(before)


def test_simulated_cases_are_known_by_their_seed_and_what_is_drawn():
    ways = [
        phantom.cases(3, seed=1),
        phantom.cases(3, seed=2),
        phantom.cases(3, seed=1, finding="nodule"),
        phantom.cases(3, seed=1, preprocessing=Preprocessing(64)),
    ]
    assert len({stamp for cases in ways for stamp in stamps(cases)}) == 12
    assert stamps(ways[0]) == stamps(phantom.cases(3, seed=1))


def test_what_only_reading_tells_has_none(tmp_path):
    images = np.zeros((2, 1, 8, 8), np.float32)
    assert stamps(Cases.from_arrays(images, [0, 1])) == [None, None]
    (tmp_path / "cases.csv").write_text("case,image,label,patient\na,a.mhd,0,p\n")
    (tmp_path / "a.mhd").write_text("ElementDataFile = a.raw")
    assert stamps(read(tmp_path / "cases.csv")) == [None]  # which is not there


@pytest.mark.parametrize("name", ["a.nrrd", "a.mha", "a.mhd"])
def test_voxels_beside_their_header_are_looked_at(tmp_path, name):
    header = {
        ".nrrd": "NRRD0004\ntype: short\ndimension: 3\nsizes: 4 4 2\nencoding: raw\ndata file: a.raw\n\n",
        ".mha": "NDims = 3\nDimSize = 4 4 2\nElementType = MET_SHORT\nElementDataFile = a.raw\n",
    }
    (tmp_path / name).write_text(header[".nrrd" if name == "a.nrrd" else ".mha"])
    (tmp_path / "a.raw").write_bytes(bytes(64))
    (tmp_path / "cases.csv").write_text(f"case,image,label,patient\na,{name},0,p\n")
    (before,) = stamps(read(tmp_path / "cases.csv"))
    assert before is not None
    (tmp_path / "a.raw").write_bytes(bytes(63) + b"1")
    os.utime(tmp_path / "a.raw", ns=(0, 12345))
    assert stamps(read(tmp_path / "cases.csv")) != [before]


def test_folders_are_followed_through_links_and_no_link_is_followed_twice(tmp_path):
    files.write_series(tmp_path / "real", files.body())
    (tmp_path / "scan").mkdir()
    (tmp_path / "scan" / "sub").symlink_to(tmp_path / "real")
    (tmp_path / "real" / "back").symlink_to(tmp_path / "scan")
    (tmp_path / "cases.csv").write_text("case,image,label,patient\na,scan,0,p\n")
    before = stamps(read(tmp_path / "cases.csv"))
    assert before == stamps(read(tmp_path / "cases.csv"))
    sorted((tmp_path / "real").glob("*.dcm"))[0].unlink()
    assert stamps(read(tmp_path / "cases.csv")) != before
