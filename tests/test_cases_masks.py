"""Masks of every kind on the image's grid."""

import json

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from scipy import ndimage
from skimage.measure import find_contours

from ct_files import body, write_readings, write_segmentation, write_series, write_slice, write_structures, write_volume
from tomolens.cases import MaskChoice
from tomolens.cases.masks import read_mask
from tomolens.cases.masks.contours import fill
from tomolens.cases.stored import read_source
from tomolens.errors import CaseError


def blob(shape, seed=0):
    """A lumpy mask with a hole and a second part, in the inner slices."""
    z, y, x = np.mgrid[: shape[0], : shape[1], : shape[2]]
    middle = np.array(shape) / 2
    radius = np.hypot((y - middle[1]) / shape[1], (x - middle[2]) / shape[2])
    ring = (radius < 0.3) & (radius > 0.12)
    part = (np.abs(y - shape[1] * 0.12) < 3) & (np.abs(x - shape[2] * 0.85) < 4)
    return (ring | part) & (z > 0) & (z < shape[0] - 1)


def dice(one, other):
    return 2 * (one & other).sum() / (one.sum() + other.sum())


@pytest.fixture
def series(tmp_path):
    """A series of 6 slices of 64 x 80 pixels, its files from the feet, and the volume."""
    hu = body(6, 64, 80)
    paths = write_series(tmp_path / "series", hu)
    return paths, read_source(tmp_path / "series")


@pytest.mark.parametrize("ending", ["nii.gz", "nrrd", "mha"])
def test_label_maps_on_the_same_grid(tmp_path, series, ending):
    paths, volume = series
    labels = blob(volume.hu.shape).astype(np.uint8) * 3
    path = write_volume(tmp_path / f"labels.{ending}", labels)
    np.testing.assert_array_equal(read_mask([path], volume, MaskChoice()), labels > 0)
    one = read_mask([path], read_source(paths[2]), MaskChoice())
    np.testing.assert_array_equal(one, labels[2:3] > 0)


def test_a_label_map_stored_in_another_direction_finds_its_image(tmp_path, series):
    _, volume = series
    labels = blob(volume.hu.shape)
    image = sitk.GetImageFromArray(labels.astype(np.uint8))
    image.SetSpacing((0.7, 0.8, 2.5))
    image.SetOrigin((-10, -20, 100))
    sitk.WriteImage(sitk.DICOMOrient(image, "RAS"), str(tmp_path / "ras.nii.gz"))
    np.testing.assert_array_equal(read_mask([tmp_path / "ras.nii.gz"], volume, MaskChoice()), labels)


def named_map(tmp_path, volume):
    labels = np.zeros(volume.hu.shape, np.uint8)
    labels[:, 5:20, 5:20], labels[:, 30:40, 5:20], labels[:, 50:60, 50:60] = 1, 2, 7
    return labels, write_volume(tmp_path / "labels.nii.gz", labels)


def test_named_labels_make_their_union(tmp_path, series):
    _, volume = series
    labels, path = named_map(tmp_path, volume)
    numbers = {"aorta": 1, "heart": 2, "spleen": 9}
    chosen = read_mask([path], volume, MaskChoice(("aorta", "Heart"), numbers))
    np.testing.assert_array_equal(chosen, np.isin(labels, [1, 2]))
    np.testing.assert_array_equal(read_mask([path], volume, MaskChoice(("7",))), labels == 7)
    assert not read_mask([path], volume, MaskChoice(("spleen",), numbers)).any()
    with pytest.raises(CaseError, match=r"no structure named liver: it holds 1, 2, 7; cases\.mask_names can name"):
        read_mask([path], volume, MaskChoice(("liver",)))
    (tmp_path / "labels.nii.gz.json").write_text(json.dumps({"labels": {"7": "liver"}}))
    np.testing.assert_array_equal(read_mask([path], volume, MaskChoice(("liver",))), labels == 7)


def test_names_of_slicer_segmentations(tmp_path, series):
    _, volume = series
    labels, _ = named_map(tmp_path, volume)
    image = sitk.GetImageFromArray(labels)
    image.SetSpacing((0.7, 0.8, 2.5))
    image.SetOrigin((-10, -20, 100))
    for number, (name, label) in enumerate({"aorta": 1, "heart": 7}.items()):
        image.SetMetaData(f"Segment{number}_Name", name)
        image.SetMetaData(f"Segment{number}_LabelValue", str(label))
    sitk.WriteImage(image, str(tmp_path / "map.seg.nrrd"))
    np.testing.assert_array_equal(read_mask([tmp_path / "map.seg.nrrd"], volume, MaskChoice(("heart",))), labels == 7)


def test_a_folder_with_one_structure_a_file(tmp_path, series):
    _, volume = series
    labels, _ = named_map(tmp_path, volume)
    for name, label in {"aorta": 1, "heart": 2, "liver": 7}.items():
        write_volume(tmp_path / "parts" / f"{name}.nii.gz", (labels == label).astype(np.uint8))
    chosen = read_mask([tmp_path / "parts"], volume, MaskChoice(("aorta", "liver")))
    np.testing.assert_array_equal(chosen, np.isin(labels, [1, 7]))
    with pytest.raises(CaseError, match="no structure named lung: it holds aorta, heart, liver"):
        read_mask([tmp_path / "parts"], volume, MaskChoice(("lung",)))


def test_another_grid_is_refused_with_both_geometries_and_resampled_when_asked(tmp_path, series):
    _, volume = series
    fine = np.repeat(np.repeat(blob(volume.hu.shape), 2, 1), 2, 2)
    path = write_volume(
        tmp_path / "fine.nii.gz", fine.astype(np.uint8), spacing=(0.35, 0.4, 2.5), origin=(-10.175, -20.2, 100)
    )
    with pytest.raises(
        CaseError, match=r"6 x 128 x 160 voxels of 2.5 x 0.4 x 0.35 mm .* the image is 6 x 64 x 80 voxels"
    ):
        read_mask([path], volume, MaskChoice())
    np.testing.assert_array_equal(read_mask([path], volume, MaskChoice(resample=True)), blob(volume.hu.shape))


def test_a_png_lies_on_the_stored_slice(tmp_path):
    hu = body(1, 30, 40)[0]
    prone = write_slice(tmp_path / "prone.dcm", hu, orientation=(-1, 0, 0, 0, -1, 0))
    labels = np.zeros((30, 40), np.uint8)
    labels[2:8, 3:20] = 1
    sitk.WriteImage(sitk.GetImageFromArray(labels), str(tmp_path / "mask.png"))
    mask = read_mask([tmp_path / "mask.png"], read_source(prone), MaskChoice())
    np.testing.assert_array_equal(mask[0], (labels > 0)[::-1, ::-1])
    with pytest.raises(CaseError, match=r"mask of \(30, 40\) pixels on an image of \(20, 24\) pixels"):
        read_mask([tmp_path / "mask.png"], read_source(write_slice(tmp_path / "b.dcm", body()[0])), MaskChoice())


def test_fractions_are_no_labels(tmp_path, series):
    _, volume = series
    path = write_volume(tmp_path / "p.nii.gz", np.full(volume.hu.shape, 0.4, np.float32))
    with pytest.raises(CaseError, match="expected whole labels"):
        read_mask([path], volume, MaskChoice())


def test_segmentations_come_back_exactly(tmp_path, series):
    paths, volume = series
    heart = blob(volume.hu.shape)
    aorta = np.roll(heart, 5, axis=2)
    path = write_segmentation(tmp_path / "seg.dcm", paths, {"aorta": aorta, "heart": heart})
    np.testing.assert_array_equal(read_mask([path], volume, MaskChoice(("heart",))), heart)
    np.testing.assert_array_equal(read_mask([path], volume, MaskChoice()), heart | aorta)
    for index, place in enumerate(paths):
        np.testing.assert_array_equal(read_mask([path], read_source(place), MaskChoice(("aorta",)))[0], aorta[index])
    with pytest.raises(CaseError, match="no structure named liver: it holds aorta, heart"):
        read_mask([path], volume, MaskChoice(("liver",)))


def test_a_segmentation_of_another_grid_is_refused(tmp_path, series):
    paths, volume = series
    path = write_segmentation(tmp_path / "seg.dcm", paths, {"heart": blob(volume.hu.shape)})
    other = write_series(tmp_path / "other", body(6, 64, 80), spacing=(0.4, 0.35))
    with pytest.raises(CaseError, match="the mask lies on another grid"):
        read_mask([path], read_source(other[2].parent), MaskChoice())


def outlines(mask, volume):
    """Contours of a mask in the patient, as a planning system would draw them."""
    found = []
    for index, plane in enumerate(mask):
        for contour in find_contours(np.pad(plane, 1).astype(float), 0.5):
            voxels = np.column_stack([np.full(len(contour), index), contour - 1, np.ones(len(contour))])
            found.append((voxels @ volume.grid.affine.T)[:, :3])
    return found


@pytest.mark.parametrize("angle", [0.0, 0.3])
def test_structures_with_holes_and_parts_come_back(tmp_path, angle):
    row = (np.cos(angle), 0.0, np.sin(angle))
    normal = np.cross(row, (0, 1, 0))
    hu = body(6, 64, 80)
    paths = write_series(tmp_path / "series", hu, orientation=(*row, 0, 1, 0), step=tuple(2.5 * normal))
    volume = read_source(tmp_path / "series")
    mask = blob(volume.hu.shape)
    path = write_structures(tmp_path / "rt.dcm", paths[0], {"Heart": outlines(mask, volume), "other": []})
    back = read_mask([path], volume, MaskChoice(("heart",)))
    assert dice(back, mask) >= 0.98
    assert not back[3, 32, 40]
    assert mask[3].any()
    one = read_mask([path], read_source(paths[3]), MaskChoice(("heart",)))
    np.testing.assert_array_equal(one[0], back[3])


NEIGHBOURS = [(0, 1), (1, 1), (1, 0), (1, -1), (0, -1), (-1, -1), (-1, 0), (-1, 1)]
"""Rows and columns, clockwise from the right."""


def follow(plane, start, background):
    """The border of a part from its pixel ``start``, through pixel centres (Suzuki and Abe 1985, as OpenCV does)."""
    around = [(start[0] + row, start[1] + column) for row, column in NEIGHBOURS]
    first = around.index(background)
    found = [(first + k) % 8 for k in range(1, 8) if plane[around[(first + k) % 8]]]
    if not found:
        return [start]
    stop, previous, current, border = around[found[0]], around[found[0]], start, []
    while True:
        border.append(current)
        around = [(current[0] + row, current[1] + column) for row, column in NEIGHBOURS]
        back = around.index(previous)
        after = next(around[(back - k) % 8] for k in range(1, 9) if plane[around[(back - k) % 8]])
        if after == start and current == stop:
            return border
        previous, current = current, after


def borders(plane):
    """Outlines of all parts and of all their holes, through the centres of the mask's own pixels."""
    padded = np.pad(plane, 1)
    parts, count = ndimage.label(padded, np.ones((3, 3)))
    for part in range(1, count + 1):
        own = parts == part
        first = tuple(np.argwhere(own)[0])
        yield np.array(follow(own, first, (first[0], first[1] - 1))) - 1
        holes, number = ndimage.label(~own)
        for hole in range(1, number + 1):
            if hole != holes[0, 0]:
                row, column = np.argwhere(holes == hole)[0]
                yield np.array(follow(own, (row, column - 1), (row, column))) - 1


def edges(plane):
    """Outlines along the pixels' edges: one square a run of pixels in a row, the union of which is the mask."""
    for row, line in enumerate(plane):
        starts = np.flatnonzero(np.diff(np.concatenate([[0], line.astype(int), [0]])))
        for first, end in starts.reshape(-1, 2):
            yield np.array(
                [(row - 0.5, first - 0.5), (row - 0.5, end - 0.5), (row + 0.5, end - 0.5), (row + 0.5, first - 0.5)]
            )


def in_patient(drawn, mask, volume):
    """Contours in rows and columns of each slice as LPS mm."""
    found = []
    for index, plane in enumerate(mask):
        for contour in drawn(plane):
            voxels = np.column_stack([np.full(len(contour), index), contour, np.ones(len(contour))])
            found.append((voxels @ volume.grid.affine.T)[:, :3])
    return found


@pytest.mark.parametrize("drawn", [borders, edges])
@pytest.mark.parametrize("kind", ["blob", "speckle", "lines"])
def test_contours_through_pixel_centres_and_along_edges_come_back_whole(tmp_path, series, drawn, kind):
    paths, volume = series
    mask = blob(volume.hu.shape)
    if kind == "speckle":
        random = np.random.default_rng(5).random(volume.hu.shape)
        mask = ndimage.gaussian_filter(random, (0, 1, 1)) > 0.53
    if kind == "lines":
        mask = np.zeros(volume.hu.shape, bool)
        mask[1, 10, 5:30] = mask[1, 20:30, 40] = mask[2, 7, 7] = mask[3, 63, :] = mask[3, :, 0] = True
        mask[4, np.arange(20), np.arange(20)] = mask[5, 30:80, 30:80] = True
    path = write_structures(tmp_path / "rt.dcm", paths[0], {"heart": in_patient(drawn, mask, volume)})
    np.testing.assert_array_equal(read_mask([path], volume, MaskChoice()), mask)


def test_a_structure_of_the_whole_body_is_no_mask_unless_it_is_asked_for(tmp_path, series):
    paths, volume = series
    heart, whole = blob(volume.hu.shape), np.zeros(volume.hu.shape, bool)
    whole[:, 2:60, 2:70] = True
    drawn = {"heart": in_patient(borders, heart, volume), "Outline": in_patient(borders, whole, volume)}
    typed = write_structures(tmp_path / "typed.dcm", paths[0], drawn, {"Outline": "EXTERNAL"})
    drawn["Body"] = drawn.pop("Outline")
    named = write_structures(tmp_path / "named.dcm", paths[0], drawn)
    for path, name in ((typed, "Outline"), (named, "Body")):
        with pytest.raises(CaseError, match=rf"{name} outlines the whole body: name the structures.*also holds heart"):
            read_mask([path], volume, MaskChoice())
        np.testing.assert_array_equal(read_mask([path], volume, MaskChoice(("heart",))), heart)
        np.testing.assert_array_equal(read_mask([path], volume, MaskChoice((name,))), whole)


def test_contours_across_slices_are_refused(tmp_path, series):
    paths, volume = series
    sagittal = np.array([[-5, -15, 100], [-5, -5, 100], [-5, -5, 110]], float)
    path = write_structures(tmp_path / "rt.dcm", paths[0], {"heart": [sagittal]})
    with pytest.raises(CaseError, match=r"rt\.dcm: a contour runs across 4\.0 slices"):
        read_mask([path], volume, MaskChoice())


def test_a_polygon_is_filled_by_pixel_centres():
    square = np.array([[1.5, 0.5], [4.5, 0.5], [4.5, 2.5], [1.5, 2.5]])
    filled = fill(square, (5, 6))
    assert filled.sum() == 6
    assert filled[1:3, 2:5].all()
    assert not fill(square + 50, (5, 6)).any()
    assert fill(square * 100 - 150, (5, 6)).sum() == fill(square * 100 - 150, (50, 60))[:5, :6].sum()


def test_polygons_of_a_slice_by_its_instance(tmp_path):
    hu = np.full((40, 50), -100)
    hu[10:30, 10:30] = 150
    path = write_slice(tmp_path / "a.dcm", hu)
    image = read_source(path)
    regions = [
        {"label": "heart", "points": [[5, 5], [45, 5], [45, 35], [5, 35]], "hu_range": [50, 300]},
        {"label": "aorta", "points": [[9.5, 9.5], [19.5, 9.5], [19.5, 19.5], [9.5, 19.5]]},
    ]
    drawn = {"rows": 40, "columns": 50, "regions": regions}
    (tmp_path / "p.json").write_text(json.dumps({"slices": {image.instance: drawn}}))
    aorta = read_mask([tmp_path / "p.json"], image, MaskChoice(("aorta",)))[0]
    assert aorta.sum() == 100
    heart = read_mask([tmp_path / "p.json"], image, MaskChoice(("heart",)))[0]
    assert not (heart & aorta).any()
    assert dice(heart | aorta, hu > 0) > 0.97
    (tmp_path / "one.json").write_text(json.dumps(drawn))
    assert read_mask([tmp_path / "one.json"], image, MaskChoice())[0].sum() == (heart | aorta).sum()
    other = read_source(write_slice(tmp_path / "b.dcm", hu))
    with pytest.raises(CaseError, match="no polygons for the slice 1"):
        read_mask([tmp_path / "p.json"], other, MaskChoice())
    (tmp_path / "one.json").write_text(json.dumps({**drawn, "rows": 41}))
    with pytest.raises(CaseError, match=r"polygons on \(41, 50\) pixels, the image has \(40, 50\)"):
        read_mask([tmp_path / "one.json"], image, MaskChoice())


def ring(x0, y0, x1, y1):
    """The pixels of a rectangle's outline, in order, as LIDC's readers left them."""
    top = [(x, y0) for x in range(x0, x1)]
    right = [(x1, y) for y in range(y0, y1)]
    bottom = [(x, y1) for x in range(x1, x0, -1)]
    left = [(x0, y) for y in range(y1, y0, -1)]
    return top + right + bottom + left


def test_readings_count_the_readers_that_agree(tmp_path, series):
    paths, volume = series
    uid = pydicom.dcmread(paths[0]).SeriesInstanceUID
    first = [(105.0, True, ring(10, 10, 21, 21)), (105.0, False, ring(13, 13, 16, 16)), (107.5, True, [(50, 50)])]
    second = [(105.0, True, ring(15, 10, 26, 21)), (105.0, True, ring(40, 40, 45, 45))]
    path = write_readings(tmp_path / "r.xml", uid, [first, second])
    anyone = read_mask([path], volume, MaskChoice(), consensus=1)
    both = read_mask([path], volume, MaskChoice(), consensus=2)
    one, other = np.zeros((64, 80), bool), np.zeros((64, 80), bool)
    one[11:21, 11:21], other[11:21, 16:26], other[41:45, 41:45] = True, True, True
    one[14:16, 14:16] = False
    np.testing.assert_array_equal(anyone[2], one | other)
    np.testing.assert_array_equal(both[2], one & other)
    assert anyone.sum() == anyone[2].sum()  # nodules below 3 mm have a point and no outline
    np.testing.assert_array_equal(read_mask([path], read_source(paths[2]), MaskChoice(), consensus=2)[0], one & other)
    assert not read_mask([path], read_source(paths[3]), MaskChoice()).any()


def test_several_files_agree_by_consensus(tmp_path, series):
    _, volume = series
    masks = [np.roll(blob(volume.hu.shape), shift, axis=2) for shift in (0, 2, 4)]
    paths = [
        write_volume(tmp_path / f"rad{k}.mhd", mask.astype(np.uint8), packed=False) for k, mask in enumerate(masks)
    ]
    np.testing.assert_array_equal(read_mask(paths, volume, MaskChoice(), consensus=2), np.sum(masks, axis=0) >= 2)
    np.testing.assert_array_equal(read_mask(paths, volume, MaskChoice()), np.any(masks, axis=0))


def test_billion_laughs_are_not_expanded(tmp_path, series):
    _, volume = series
    entities = "".join(f'<!ENTITY l{k} "{f"&l{k - 1};" * 10}">' for k in range(1, 10))
    (tmp_path / "r.xml").write_text(
        f'<!DOCTYPE x [<!ENTITY l0 "lol">{entities}]><LidcReadMessage>&l9;</LidcReadMessage>'
    )
    with pytest.raises(CaseError, match="damaged XML readings"):
        read_mask([tmp_path / "r.xml"], volume, MaskChoice())


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.txt", b"x", r"unknown mask format '\.txt'"),
        ("a.xml", b"<x/>", "XML, but no LIDC-IDRI readings"),
        ("a.xml", b"<x", "damaged XML"),
        ("a.json", b"{", "not JSON"),
        ("a.json", b"[]", "expected an object"),
        ("a.json", b'{"rows": 1}', "polygons are of one slice"),
        ("a.png", b"x", "unreadable PNG"),
        ("a.nrrd", b"NRRD0004\n", "unreadable NRRD"),
        ("a.dcm", b"x" * 200, "not a DICOM file"),
    ],
)
def test_damaged_masks_are_refused_in_one_line(tmp_path, series, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(CaseError, match=message) as caught:
        read_mask([tmp_path / name], series[1], MaskChoice())
    assert name in str(caught.value)


def test_a_ct_slice_is_no_mask(series):
    paths, volume = series
    with pytest.raises(CaseError, match=r"\.dcm: CT, expected SEG or RTSTRUCT as a mask"):
        read_mask([paths[0]], volume, MaskChoice())


def test_a_segmentation_between_the_slices_of_the_image_is_refused(tmp_path, series):
    paths, volume = series
    path = write_segmentation(tmp_path / "seg.dcm", paths, {"heart": blob(volume.hu.shape)})
    other = write_series(tmp_path / "other", body(6, 64, 80), origin=(-10, -20, 101))
    with pytest.raises(CaseError, match="the mask lies on another grid"):
        read_mask([path], read_source(other[2].parent), MaskChoice())
    beside = write_series(tmp_path / "beside", body(4, 64, 80), origin=(-10, -20, 105))
    mask = read_mask([path], read_source(beside[0].parent), MaskChoice())
    np.testing.assert_array_equal(mask, blob(volume.hu.shape)[[2, 3, 4, 5]])


def test_a_label_map_that_covers_more_than_the_volume_is_another_grid(tmp_path, series):
    _, volume = series
    wide = np.zeros((6, 70, 90), np.uint8)
    path = write_volume(tmp_path / "wide.nii.gz", wide, origin=(-10 - 3 * 0.7, -20 - 2 * 0.8, 100))
    with pytest.raises(CaseError, match="the mask lies on another grid"):
        read_mask([path], volume, MaskChoice())
