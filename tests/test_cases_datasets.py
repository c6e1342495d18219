"""Cases of torch and MONAI datasets: items read when asked for, their geometry kept where their affine tells it."""

import pickle
import re
import warnings
from collections import Counter

import cloudpickle
import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
import torch
from monai.data import CacheDataset, MetaTensor
from monai.data import Dataset as MonaiDataset
from monai.transforms import (
    Compose,
    EnsureChannelFirstd,
    LoadImaged,
    Orientationd,
    RandCropByPosNegLabeld,
    RandGaussianNoised,
    Resized,
    Rotate90d,
    ScaleIntensityRanged,
    SpatialCropd,
    SqueezeDimd,
)
from torch.utils.data import Dataset, IterableDataset, TensorDataset

from ct_files import body, write_slice
from tomolens.cases import Cases
from tomolens.errors import CaseError

LABELS = [0, 1, 2, 1, 0, 2]
AFFINE = np.array([[0.0, -0.8, 0.0, 11.0], [0.6, 0.0, 0.0, -7.0], [0.0, 0.0, 2.5, 130.0], [0.0, 0.0, 0.0, 1.0]])
"""RAS of an array whose first axis leads to the front in steps of 0.6 mm, its second to the left in steps of 0.8, and
its third to the head in steps of 2.5."""


def item_of(number, shape=(1, 5, 7)):
    random = np.random.default_rng(number)
    image = torch.from_numpy(random.random(shape, dtype=np.float32))
    return {
        "image": image,
        "label": LABELS[number],
        "mask": image[0] > 0.5,
        "who": f"p{number // 2}",
        "id": f"n{number}",
    }


class Items(Dataset):
    """Makes its items anew each time, and counts how often."""

    def __init__(self, change=lambda item: item, count=6):
        self.change, self.count, self.reads = change, count, Counter()

    def __len__(self):
        return self.count

    def __getitem__(self, place):
        self.reads[place] += 1
        return self.change(item_of(place))


def test_items_are_read_once_for_their_labels_and_when_they_are_asked_for():
    items = Items()
    cases = Cases.from_dataset(items, mask="mask", patient="who", name="id", keep_patients=True)
    assert items.reads == dict.fromkeys(range(6), 1)
    assert cases.labels.tolist() == LABELS
    assert cases.names == ("n0", "n1", "n2", "n3", "n4", "n5")
    assert cases.patients == ("p0", "p0", "p1", "p1", "p2", "p2")
    assert cases.classes == ("class 0", "class 1", "class 2")
    assert len(set(cases.fingerprints)) == 6
    assert items.reads == dict.fromkeys(range(6), 1)  # fingerprints were taken on the way
    case = cases[3]
    assert items.reads[3] == 2
    np.testing.assert_array_equal(case.image, item_of(3)["image"].numpy())
    np.testing.assert_array_equal(case.mask, item_of(3)["mask"].numpy())
    assert (case.label, case.patient, case.grid, case.notes) == (1, "p1", None, ())


def test_they_are_those_of_the_same_arrays():
    images, masks = (torch.stack([item_of(place)[key] for place in range(6)]) for key in ("image", "mask"))
    ours = Cases.from_arrays(images, LABELS, masks=masks)
    for dataset, keys in (
        (Items(), {"mask": "mask"}),
        (TensorDataset(images, torch.tensor(LABELS), masks[:, None]), {}),
        ([(image.numpy(), label, mask) for image, label, mask in zip(images, LABELS, masks, strict=True)], {}),
    ):
        theirs = Cases.from_dataset(dataset, **keys)
        assert theirs.entries == ours.entries
        assert theirs.fingerprints == ours.fingerprints
        for one, other in zip(theirs, ours, strict=True):
            np.testing.assert_array_equal(one.image, other.image)
            np.testing.assert_array_equal(one.mask, other.mask)


def test_an_item_may_have_no_mask():
    def some(item):
        return item | {"mask": None if item["label"] == 0 else item["mask"]}

    assert [case.mask is None for case in Cases.from_dataset(Items(some), mask="mask")] == [
        label == 0 for label in LABELS
    ]
    assert all(case.mask is None for case in Cases.from_dataset(Items()))
    pairs = [(item_of(place)["image"], LABELS[place]) for place in range(6)]
    assert all(case.mask is None for case in Cases.from_dataset(pairs))


@pytest.mark.parametrize(
    "kind", [np.int64, torch.tensor, lambda label: torch.tensor([label]), float, "abc".__getitem__]
)
def test_labels_in_any_form(kind):
    dataset = Items(lambda item: item | {"label": kind(item["label"])})
    assert Cases.from_dataset(dataset, classes=["a", "b", "c"]).labels.tolist() == LABELS


def test_patients_are_pseudonyms_and_cases_numbered():
    cases = Cases.from_dataset(Items(), patient="who", split=["train", "test", None] * 2)
    assert cases.names[:2] == ("case-0001", "case-0002")
    assert not set(cases.patients) & {"p0", "p1", "p2"}
    assert len(set(cases.patients)) == 3
    assert [entry.split for entry in cases.entries] == ["train", "test", None] * 2


def test_cases_are_pickled_with_their_dataset_and_leave_it_alone():
    cases = Cases.from_dataset(Items(), mask="mask")
    again = pickle.loads(cloudpickle.dumps(cases.select([5, 2])))
    np.testing.assert_array_equal(again[0].image, item_of(5)["image"].numpy())
    kept = [item_of(place) for place in range(6)]
    held = Cases.from_dataset(kept, mask="mask")
    held[0].image[:] = 0.0
    held[0].mask[:] = False
    assert torch.equal(kept[0]["image"], item_of(0)["image"])
    assert torch.equal(kept[0]["mask"], item_of(0)["mask"])


def test_items_are_read_with_one_thread():
    def thread(item):
        return item | {"image": item["image"] * 0 + torch.get_num_threads()}

    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        cases = Cases.from_dataset(Items(thread))
        assert (cases.images() == 1).all()
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_an_item_that_changes_is_refused():
    noisy = MonaiDataset([item_of(place) for place in range(6)], RandGaussianNoised("image", prob=1.0))
    cases = Cases.from_dataset(noisy)
    with pytest.raises(CaseError, match="case case-0002: its item is another image than .* without random transforms"):
        cases[1]


def number_four(change):
    """Items of which the fourth is changed."""
    return Items(lambda item: change(item) if item["id"] == "n3" else item)


def without(key):
    return lambda item: {name: value for name, value in item.items() if name != key}


def broken(item):
    raise RuntimeError("the disk\nis gone")


def missing(item):
    raise FileNotFoundError(2, "No such file or directory", "/secret/place")


def named(item):
    raise ValueError("cannot read '/data/Smith, John/1.nii' or C:\\data\\Smith: 1/2 of it, see a/b")


FAULTS = {
    "no image": (without("image"), r"item 3: no key 'image' for its image; there are 'label', 'mask', 'who', 'id'"),
    "no label": (without("label"), "item 3: no key 'label' for its label"),
    "no mask": (without("mask"), "item 3: no key 'mask' for its mask"),
    "no patient": (without("who"), "item 3: no key 'who' for its patient"),
    "another shape": (
        lambda item: item | {"image": torch.zeros(1, 5, 6), "mask": torch.zeros(5, 6)},
        r"case n3 \(item 3\): image of shape \(1, 5, 6\), the first one has \(1, 5, 7\)",
    ),
    "no channel": (
        lambda item: item | {"image": torch.zeros(5, 7)},
        r"case n3 \(item 3\): image of shape \(5, 7\), expected \(C, rows, columns\)",
    ),
    "several images": (
        lambda item: item | {"image": [item["image"]] * 2},
        r"case n3 \(item 3\): 2 images in one item",
    ),
    "a batch": (
        lambda item: item | {"image": torch.zeros(2, 1, 3, 5, 7)},
        r"several images in one item of shape \(2, 1, 3, 5, 7\)",
    ),
    "crops": (lambda item: [item] * 4, "item 3: a list of 4 dictionaries, expected one .*crops several samples"),
    "not finite": (
        lambda item: item | {"image": item["image"] / 0},
        r"case n3 \(item 3\): 35 values of its image are not finite",
    ),
    "whole numbers": (
        lambda item: item | {"image": (item["image"] * 255).byte()},
        r"case n3 \(item 3\): image of uint8, expected floating",
    ),
    "a mask of another shape": (
        lambda item: item | {"mask": torch.zeros(7, 5)},
        r"case n3 \(item 3\): mask of shape \(7, 5\), expected \(5, 7\) or \(1, 5, 7\)",
    ),
    "a label map": (
        lambda item: item | {"mask": 2 * item["mask"].int()},
        r"case n3 \(item 3\): its mask has the values 0, 2, expected bool or 0 and 1",
    ),
    "one-hot": (lambda item: item | {"label": torch.eye(3)[1]}, r"case n3 \(item 3\): label of shape \(3,\), expected"),
    "a label that is none": (lambda item: item | {"label": -1}, "case n3: label '-1', expected a whole number"),
    "a name twice": (lambda item: item | {"id": "n2"}, "case n2: 2 images have this name"),
    "no name": (lambda item: item | {"id": ""}, "item 3: name '', expected printable text"),
    "an error": (broken, r"item 3: the dataset cannot read it \(RuntimeError: the disk is gone\)"),
    "no file": (missing, r"item 3: the dataset cannot read it \(FileNotFoundError: No such file or directory\)$"),
    "a path": (named, r"ValueError: cannot read 'a file' or a file: 1/2 of it, see a/b\)$"),
    "a number": (lambda item: 3.0, "item 3: float, expected a dictionary or a tuple"),
    "four of a tuple": (lambda item: (1, 2, 3, 4), r"item 3: tuple of 4, expected \(image, label\) or"),
    "a tuple without": (
        lambda item: (item["image"], 0, item["mask"]),
        "item 3: a tuple .*, which has no patient: make items dictionaries",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_items_that_cannot_be(fault):
    change, words = FAULTS[fault]
    with pytest.raises(CaseError, match=words):
        Cases.from_dataset(number_four(change), mask="mask", patient="who", name="id")


def test_datasets_that_cannot_be():
    class Stream(IterableDataset):
        def __iter__(self):
            return iter([item_of(0)])

    with pytest.raises(CaseError, match=r"Stream has no items by number, expected a dataset with len\(dataset\)"):
        Cases.from_dataset(Stream())
    loader = torch.utils.data.DataLoader(Items())
    with pytest.raises(CaseError, match="DataLoader has no items by number"):
        Cases.from_dataset(loader)
    with pytest.raises(CaseError, match="the dataset has no items"):
        Cases.from_dataset(Items(count=0))
    with pytest.raises(CaseError, match="split of 1 for 6 images"):
        Cases.from_dataset(Items(), split=["train"])
    with pytest.raises(CaseError, match=r"case case-0003: label '2' is outside the classes 0 \(a\), 1 \(b\)"):
        Cases.from_dataset(Items(), classes=["a", "b"])
    pairs = [(item_of(place)["image"], 0) for place in range(6)]
    with pytest.raises(CaseError, match="item 0: a tuple .* which has no mask"):
        Cases.from_dataset(pairs, mask="mask")


# Geometry


def case_of(image, **more):
    return Cases.from_dataset([{"image": image, "label": 0} | more], mask="mask" if "mask" in more else None)[0]


def millimetres(case, *place):
    """LPS of a voxel, by the case's grid."""
    return (case.grid.affine @ [*(0,) * (3 - len(place)), *place, 1])[:3]


@pytest.mark.parametrize("space", ["RAS", "LPS"])
def test_a_volume_lies_where_its_affine_says_by_hand(space):
    given = AFFINE if space == "RAS" else np.diag([-1.0, -1.0, 1.0, 1.0]) @ AFFINE
    case = case_of(MetaTensor(torch.rand(1, 4, 5, 3), affine=given, meta={"space": space}))
    assert case.notes == ()
    assert case.grid.shape == (4, 5, 3)
    # Of voxel (2, 3, 1): R = 11 - 3 * 0.8 = 8.6, A = -7 + 2 * 0.6 = -5.8, S = 130 + 2.5; L = -R, P = -A.
    np.testing.assert_allclose(millimetres(case, 2, 3, 1), [-8.6, 5.8, 132.5])
    np.testing.assert_allclose(millimetres(case, 0, 0, 0), [-11.0, 7.0, 130.0])
    assert case.grid.spacing == pytest.approx((0.6, 0.8, 2.5))
    assert case.grid.source.axes == "ALS"


def test_a_slice_lies_where_its_affine_says_by_hand():
    case = case_of(MetaTensor(torch.rand(1, 4, 5), affine=AFFINE))
    assert case.notes == ()
    np.testing.assert_allclose(millimetres(case, 2, 3), [-8.6, 5.8, 130.0])
    assert case.grid.spacing == pytest.approx((0.6, 0.8))
    assert case.grid.source.shape == (1, 4, 5)


@pytest.mark.parametrize("shape", [(4, 5), (4, 5, 3)])
def test_a_map_goes_back_to_the_tensor_as_it_is(shape):
    case = case_of(MetaTensor(torch.rand(1, *shape), affine=AFFINE))
    values = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    back = case.grid.to_source(values)
    np.testing.assert_array_equal(back.reshape(shape), values)
    whole = np.zeros(case.grid.source.shape, np.float32)
    whole[case.grid.within] = back
    np.testing.assert_array_equal(whole.reshape(shape), values)
    # Each voxel of the source is at the place of its pixel.
    for place in np.ndindex(shape):
        index = (*(0,) * (3 - len(place)), *place, 1)
        np.testing.assert_allclose((case.grid.source.affine @ index)[:3], millimetres(case, *place))


def volume_file(folder, affine=AFFINE, shape=(6, 7, 5)):
    """A NIfTI file whose HU tell where their voxels lie: 9 a mm to the right, -6 to the front, 14 to the head."""
    places = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1)
    hu = (places @ affine[:3, :3].T + affine[:3, 3]) @ [9.0, -6.0, 14.0]
    nibabel.save(nibabel.Nifti1Image(hu.astype(np.float32), affine), folder / "v.nii")
    return {"image": str(folder / "v.nii"), "label": 0}


SCALED = ScaleIntensityRanged("image", -4000, 4000, 0, 1)
OBLIQUE = np.array([[0.7, -0.2, 0.3, 3.0], [0.1, 0.8, 0.4, -7.0], [-0.1, -0.1, 2.5, 130.0], [0.0, 0.0, 0.0, 1.0]])
TRANSFORMS = {
    "as it is": [],
    "oriented": [Orientationd("image", "LPS", labels=None)],
    "turned": [Rotate90d("image")],
    "larger": [Resized("image", (12, 14, 10), mode="trilinear")],
    "cropped": [SpatialCropd("image", roi_start=(1, 2, 2), roi_end=(5, 7, 5))],
}


def straight(affine):
    """The same with orthogonal axes, as files have them."""
    turned, _ = np.linalg.qr(affine[:3, :3])
    return np.block([[turned @ np.diag([0.7, 0.8, 2.5]), affine[:3, 3:]], [np.zeros((1, 3)), np.ones((1, 1))]])


@pytest.mark.parametrize("name", TRANSFORMS)
@pytest.mark.parametrize("affine", [AFFINE, straight(OBLIQUE)], ids=["along the body", "oblique"])
def test_volumes_of_monai_lie_where_their_values_say(tmp_path, name, affine):
    steps = [LoadImaged("image"), EnsureChannelFirstd("image"), *TRANSFORMS[name], SCALED]
    case = Cases.from_dataset(CacheDataset([volume_file(tmp_path, affine)], Compose(steps), progress=False))[0]
    hu = case.image[0] * 8000 - 4000
    places = np.stack(np.meshgrid(*map(np.arange, hu.shape), indexing="ij"), axis=-1)
    lps = places @ case.grid.affine[:3, :3].T + case.grid.affine[:3, 3]
    inner = tuple(slice(2, -2) for _ in hu.shape) if name == "larger" else ...
    np.testing.assert_allclose(hu[inner], (lps @ [-9.0, 6.0, 14.0])[inner], atol=0.02)


def test_a_slice_of_dicom_lies_where_simpleitk_says(tmp_path):
    hu = body()[0]
    turn = (0.8, 0.6, 0.0, -0.6, 0.8, 0.0)
    path = write_slice(tmp_path / "a.dcm", hu, orientation=turn, position=(3.0, -40.0, 70.0))
    steps = Compose([LoadImaged("image", reader="PydicomReader"), EnsureChannelFirstd("image"), SCALED])
    case = Cases.from_dataset(MonaiDataset([{"image": str(path), "label": 0}], steps))[0]
    image = sitk.ReadImage(str(path))
    if case.image.ndim == 4:  # of versions that read one slice as a volume
        pytest.skip("a volume of one slice")
    for column, row in ((0, 0), (3, 11), (21, 19)):  # MONAI's first axis leads along the row
        expected = image.TransformIndexToPhysicalPoint((column, row, 0))
        np.testing.assert_allclose(millimetres(case, column, row), expected, atol=1e-4)


def test_geometry_that_is_not_known_is_none_without_a_word():
    for image in (torch.rand(1, 4, 5), torch.rand(1, 4, 5).numpy(), MetaTensor(torch.rand(1, 4, 5, 3))):
        case = case_of(image)
        assert (case.grid, case.notes) == (None, ())


def test_unity_of_a_file_is_a_place(tmp_path):
    steps = Compose([LoadImaged("image"), EnsureChannelFirstd("image"), SCALED])
    case = Cases.from_dataset(MonaiDataset([volume_file(tmp_path, np.eye(4))], steps))[0]
    np.testing.assert_allclose(millimetres(case, 1, 2, 3), [-1, -2, 3])


def changed(row, column, value):
    affine = AFFINE.copy()
    affine[row, column] = value
    return affine


UNKNOWN = {
    "not finite": (changed(0, 3, np.nan), "its affine spans no volume"),
    "no step": (changed(2, 2, 0.0), "its affine spans no volume"),
    "flat": (np.array([[1.0, 2, 0, 0], [1, 2, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]), "its affine spans no volume"),
    "askew": (changed(0, 0, 0.4), "rows and columns at .* degrees, expected 90"),
    "huge": (changed(2, 2, 5000.0), "voxels of .* 5000 .* mm|voxels of 5000"),
    "projective": (changed(3, 0, 0.1), "the last row of its affine"),
}


@pytest.mark.parametrize("fault", UNKNOWN)
@pytest.mark.parametrize("shape", [(4, 5), (4, 5, 3)])
def test_an_affine_that_places_no_scan_is_told(fault, shape):
    affine, words = UNKNOWN[fault]
    case = case_of(MetaTensor(torch.rand(1, *shape), affine=affine))
    assert case.grid is None
    (note,) = case.notes
    assert note.startswith("where its pixels lie is not known: ")
    assert re.search(words, note)


def test_other_coordinates_are_told():
    case = case_of(MetaTensor(torch.rand(1, 4, 5, 3), affine=AFFINE, meta={"space": "ASL"}))
    assert case.notes == (
        "where its pixels lie is not known: its affine is in the coordinates ASL, expected RAS or LPS",
    )


def test_a_tilted_gantry_is_kept_and_told():
    tilted = AFFINE.copy()
    tilted[1, 2] = 2.5 * np.tan(np.radians(12))
    case = case_of(MetaTensor(torch.rand(1, 4, 5, 3), affine=tilted))
    assert case.notes == ("slices sheared by 12.0 degrees, as of a tilted gantry",)
    np.testing.assert_allclose(millimetres(case, 0, 0, 2), [-11.0, 7.0 - 2 * tilted[1, 2], 135.0])


def test_slices_whose_affine_does_not_tell_them_are_told(tmp_path):
    loaded = [LoadImaged("image"), EnsureChannelFirstd("image")]

    def third(item):
        return item | {"image": item["image"][..., 2]}

    cropped = [SpatialCropd("image", roi_start=(0, 0, 2), roi_end=(6, 7, 3)), SqueezeDimd("image", -1)]
    for steps, words in (
        ([third], "it is of a volume of 6 x 7 x 5, and its affine does not say which slice"),
        (cropped, "its affine is 3 x 3, which places a plane but not the plane in the patient"),
    ):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            case = Cases.from_dataset(MonaiDataset([volume_file(tmp_path)], Compose([*loaded, *steps, SCALED])))[0]
        assert case.image.shape == (1, 6, 7)
        assert case.grid is None
        assert case.notes == (f"where its pixels lie is not known: {words}",)


def test_a_mask_elsewhere_is_refused():
    image, mask = MetaTensor(torch.rand(1, 4, 5, 3), affine=AFFINE), torch.ones(1, 4, 5, 3)
    for unknown in (mask, MetaTensor(mask), MetaTensor(mask, affine=AFFINE)):
        assert case_of(image, mask=unknown).mask.all()
    with pytest.raises(CaseError, match=r"case case-0001 \(item 0\): its mask lies elsewhere: 4 x 5 x 3 voxels of"):
        case_of(image, mask=MetaTensor(mask, affine=changed(2, 3, 132.5)))


def test_crops_and_pending_transforms_are_refused():
    item = {"image": MetaTensor(torch.rand(1, 8, 9)), "label": 0, "mask": torch.ones(1, 8, 9)}
    crops = RandCropByPosNegLabeld("image", label_key="mask", spatial_size=(4, 4), num_samples=3)
    with pytest.raises(CaseError, match="a list of 3 dictionaries, expected one"):
        Cases.from_dataset(MonaiDataset([item], crops))
    with pytest.raises(CaseError, match="transforms of its image are pending"):
        Cases.from_dataset([Resized("image", (4, 4), lazy=True)(item)])
