"""Folders and archives as people have them: nested, linked in circles, damaged, hostile."""

import os
import stat
import zipfile

import numpy as np
import pytest

from ct_files import body, write_series, write_slice
from tomolens.cases.dicom import tree as tree_module
from tomolens.cases.dicom.tree import read_tree
from tomolens.cases.places import open_place, require_file
from tomolens.cases.stored import read_source
from tomolens.errors import CaseError


def tree_of(folder, **options):
    return read_tree(folder, lambda patient: patient, **{"cached": False, **options})


def pack(archive, files, method=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(archive, "w", method) as packed:
        for name, path in files.items():
            packed.write(path, name)
    return archive


def test_a_series_reads_the_same_from_folders_nested_folders_and_archives(tmp_path):
    hu = body()
    paths = write_series(tmp_path / "deep" / "er" / "series", hu)
    archive = pack(tmp_path / "series.zip", {f"some/where/{path.name}": path for path in paths})
    for place in (tmp_path / "deep", paths[0].parent, archive):
        np.testing.assert_array_equal(read_source(place).hu, hu)
    member = archive / "some" / "where" / paths[3].name
    require_file(member)
    np.testing.assert_array_equal(read_source(member).hu[0], hu[3])
    with pytest.raises(CaseError, match=r"series\.zip/none\.dcm: no such file in the archive"):
        read_source(archive / "none.dcm")


def test_unreadable_files_among_good_ones_are_listed(tmp_path):
    write_series(tmp_path / "good", body())
    (tmp_path / "text.dcm").write_text("no image")
    (tmp_path / "empty.dcm").touch()
    (tmp_path / "broken.zip").write_bytes(b"PK\x03\x04 and then nothing")
    cut = write_slice(tmp_path / "cut.dcm", body()[0])
    cut.write_bytes(cut.read_bytes()[:600])
    odd = write_slice(tmp_path / "odd.dcm", body()[0], position=(7.0, 8.0, 9.0))
    odd.write_bytes(odd.read_bytes().replace(b"7.0\\8.0\\9.0", b"7.0\\up \\9.0"))
    (tmp_path / "notes.txt").write_text("not meant to be DICOM")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    os.mkfifo(tmp_path / "pipe.dcm")
    found = tree_of(tmp_path)
    reasons = {one.path.name: one.reason for one in found.unusable}
    assert len([header for header in found.headers if header.series]) >= 6
    assert reasons["text.dcm"] == "not a DICOM file"
    assert reasons["empty.dcm"] == "empty"
    assert "not a zip archive" in reasons["broken.zip"]
    assert reasons["odd.dcm"] == r"position '7.0\up \9.0' is not numbers"
    assert reasons["dangling"] == "No such file or directory"
    assert reasons["pipe.dcm"] == "neither a file nor a folder"
    assert [path.name for path in found.others] == ["notes.txt"]
    with pytest.raises(CaseError, match=r"broken\.zip: not a zip archive"):
        tree_of(tmp_path, on_error="stop")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_files_without_permission_are_listed(tmp_path):
    path = write_slice(tmp_path / "a.dcm", body()[0])
    path.chmod(0)
    assert "Permission denied" in tree_of(tmp_path).unusable[0].reason
    path.chmod(stat.S_IRUSR)


def test_links_in_circles_end(tmp_path):
    write_series(tmp_path / "a", body())
    (tmp_path / "a" / "up").symlink_to(tmp_path)
    (tmp_path / "a" / "self").symlink_to(tmp_path / "a")
    found = tree_of(tmp_path)
    assert len(found.headers) == 6
    assert {one.reason for one in found.unusable} == {"a link to a folder that was read already"}


def test_paths_that_climb_out_of_an_archive_are_not_followed(tmp_path):
    path = write_slice(tmp_path / "a.dcm", body()[0])
    (tmp_path / "in").mkdir()
    archive = pack(tmp_path / "in" / "slip.zip", {"../../out.dcm": path, "a/../../out.dcm": path, "fine.dcm": path})
    found = tree_of(archive)
    assert len(found.headers) == 1
    assert {one.reason for one in found.unusable} == {"its path climbs out of the archive"}
    assert list(tmp_path.rglob("out.dcm")) == []


def test_bombs_are_not_unpacked(tmp_path):
    archive = tmp_path / "bomb.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("bomb.dcm", bytes(64 << 20))
    found = tree_of(archive)
    assert found.headers == ()
    assert "unpacks to" in found.unusable[0].reason
    assert "as no CT image does" in found.unusable[0].reason
    with pytest.raises(CaseError, match="as no CT image does"):
        open_place(archive / "bomb.dcm")


def test_an_archive_that_lies_about_sizes_is_refused(tmp_path):
    path = write_slice(tmp_path / "a.dcm", body()[0])
    archive = pack(tmp_path / "lie.zip", {"a.dcm": path})
    content = archive.read_bytes()
    size = path.stat().st_size.to_bytes(4, "little")
    archive.write_bytes(content.replace(size, (100).to_bytes(4, "little")))
    with pytest.raises(CaseError, match=r"lie\.zip/a\.dcm: cannot be unpacked|bytes unpacked"):
        open_place(archive / "a.dcm")


def test_the_second_start_reads_no_header_that_did_not_change(tmp_path, monkeypatch):
    paths = write_series(tmp_path / "a", body())
    pack(tmp_path / "b.zip", {"x.dcm": paths[0]})
    first = tree_of(tmp_path, cached=True)
    read = []
    whole = tree_module.read_header

    def counted(place, *rest):
        read.append(place)
        return whole(place, *rest)

    monkeypatch.setattr(tree_module, "read_header", counted)
    assert tree_of(tmp_path, cached=True) == first
    assert read == []
    write_slice(paths[2], body()[2], position=(0, 0, 999))
    again = tree_of(tmp_path, cached=True)
    assert read == [str(paths[2])]
    assert {header.position[2] for header in again.headers} >= {999.0}
    paths[1].unlink()
    assert len(tree_of(tmp_path, cached=True).headers) == len(first.headers) - 1


def test_a_damaged_cache_is_made_anew(tmp_path):
    write_series(tmp_path / "a", body())
    first = tree_of(tmp_path, cached=True)
    kept = tree_module.cache_file(tmp_path, "")
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    kept.write_bytes(b"PAR1 and nonsense")
    assert tree_of(tmp_path, cached=True) == first


def test_headers_are_read_without_pixels(tmp_path):
    path = write_slice(tmp_path / "a.dcm", np.zeros((512, 512)))
    path.write_bytes(path.read_bytes()[: -512 * 512])
    assert len(tree_of(tmp_path).headers) == 1
    with pytest.raises(CaseError, match="bytes of pixels"):
        read_source(path)


def test_no_such_folder(tmp_path):
    with pytest.raises(CaseError, match="none: no such file or folder"):
        tree_of(tmp_path / "none")
