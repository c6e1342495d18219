"""Cases of arrays: what is given comes out, and everything that cannot be is refused with its case."""

import pickle

import numpy as np
import pytest
import torch

from tomolens.cases import Cases
from tomolens.errors import CaseError

SHAPES = {"2-D": (1, 5, 7), "two channels": (2, 5, 7), "3-D": (1, 3, 5, 7)}
COUNT = 6
LABELS = [0, 1, 0, 1, 1, 0]


def images_of(shape=SHAPES["2-D"], count=COUNT):
    return np.random.default_rng(0).random((count, *shape)).astype(np.float32)


@pytest.mark.parametrize("kind", [np.asarray, torch.from_numpy, list, lambda images: images.astype(np.float64)])
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_what_is_given_comes_out(shape, kind):
    images = images_of(shape)
    masks = np.random.default_rng(1).random((COUNT, *shape[1:])) > 0.5
    masks[2] = False
    cases = Cases.from_arrays(kind(images), LABELS, masks=masks)
    assert cases.names == ("case-0001", "case-0002", "case-0003", "case-0004", "case-0005", "case-0006")
    assert cases.patients == cases.names
    assert cases.labels.tolist() == LABELS
    assert cases.classes == ("class 0", "class 1")
    np.testing.assert_array_equal(cases.images(), images)
    for case, image, mask in zip(cases, images, masks, strict=True):
        assert case.image.dtype == np.float32
        np.testing.assert_array_equal(case.image, image)
        np.testing.assert_array_equal(case.mask, mask)
        assert (case.twin, case.evidence, case.grid, case.body, case.notes) == (None, None, None, None, ())


@pytest.mark.parametrize("masks", ["(N, *spatial)", "(N, 1, *spatial)"])
@pytest.mark.parametrize("kind", [bool, np.uint8, np.int64, np.float32])
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_masks_in_any_form(shape, kind, masks):
    expected = np.random.default_rng(1).random((COUNT, *shape[1:])) > 0.5
    given = expected.astype(kind)[:, None] if "1" in masks else expected.astype(kind)
    for one in (given, torch.from_numpy(given), list(given)):
        cases = Cases.from_arrays(images_of(shape), LABELS, masks=one)
        for case, mask in zip(cases, expected, strict=True):
            assert case.mask.dtype == bool
            np.testing.assert_array_equal(case.mask, mask)


@pytest.mark.parametrize(
    "labels",
    [
        LABELS,
        np.array(LABELS),
        torch.tensor(LABELS),
        np.array(LABELS, float),
        np.array(LABELS, bool),
        [np.int64(label) for label in LABELS],
        list(torch.tensor(LABELS)),
        np.array(["a", "b"], object)[LABELS],
    ],
)
def test_labels_in_any_form(labels):
    assert Cases.from_arrays(images_of(), labels, classes=["a", "b"]).labels.tolist() == LABELS


def test_classes_are_counted_or_named():
    assert Cases.from_arrays(images_of(), [0] * COUNT).classes == ("class 0", "class 1")
    assert Cases.from_arrays(images_of(), [0, 2, 0, 0, 0, 0]).classes == ("class 0", "class 1", "class 2")
    assert Cases.from_arrays(images_of(), LABELS, classes=["a", "b", "c"]).classes == ("a", "b", "c")


def test_twins_are_the_evidence():
    images = images_of(SHAPES["two channels"])
    twins = images.copy()
    twins[:, 0, 1, 2] += 0.25
    twins[:, 1, 1, 2] -= 0.5
    for case, twin in zip(Cases.from_arrays(images, LABELS, twins=twins), twins, strict=True):
        np.testing.assert_array_equal(case.twin, twin)
        assert case.evidence.shape == (5, 7)
        assert case.evidence[1, 2] == pytest.approx(0.75)
        assert np.count_nonzero(case.evidence) == 1


def test_patients_are_pseudonyms_unless_asked_otherwise():
    owners = ["Smith", "Smith", "Jones", 17, np.int64(17), "Jones"]
    hidden = Cases.from_arrays(images_of(), LABELS, patients=owners).patients
    assert [hidden.index(one) for one in hidden] == [0, 0, 2, 3, 3, 2]
    assert not any("mith" in one or "17" == one for one in hidden)
    kept = Cases.from_arrays(images_of(), LABELS, patients=owners, keep_patients=True)
    assert kept.patients == ("Smith", "Smith", "Jones", "17", "17", "Jones")
    assert [case.patient for case in kept] == list(kept.patients)


def test_names_and_splits():
    names = [f"slice {letter}" for letter in "abcdef"]
    cases = Cases.from_arrays(
        images_of(), LABELS, names=names, split=np.array(["train", "", "test", "test", "train", ""])
    )
    assert cases.names == tuple(names)
    assert [entry.split for entry in cases.entries] == ["train", None, "test", "test", "train", None]
    assert Cases.from_arrays(images_of(), LABELS, names=np.arange(6)).names == tuple("012345")


def test_names_count_as_far_as_needed():
    many = Cases.from_arrays(np.zeros((10_000, 1, 1, 1), np.float32), np.zeros(10_000, int))
    assert (many.names[0], many.names[-1]) == ("case-00001", "case-10000")


def test_what_is_done_to_a_case_is_not_done_to_the_arrays():
    images, masks = images_of(), np.zeros((COUNT, 5, 7), bool)
    kept = images.copy()
    cases = Cases.from_arrays(images, LABELS, masks=masks)
    before = cases.fingerprints
    cases[0].image[:] = 0.0
    cases[0].mask[:] = True
    np.testing.assert_array_equal(images, kept)
    assert not masks.any()
    assert tuple(case.fingerprint for case in cases) == before


def test_cases_are_pickled_with_what_they_hold():
    masks = np.random.default_rng(1).random((COUNT, 5, 7)) > 0.5
    cases = Cases.from_arrays(images_of(), LABELS, masks=masks, twins=images_of() * 0.5)
    again = pickle.loads(pickle.dumps(cases.select([4, 1])))
    assert again.fingerprints == (cases.fingerprints[4], cases.fingerprints[1])
    np.testing.assert_array_equal(again[0].mask, masks[4])
    np.testing.assert_array_equal(again[1].twin, cases[1].twin)


def with_value(value, place=3, kind=np.float32):
    images = images_of().astype(kind)
    images[place, 0, 2, 2] = value
    return images


def refused(words, images=None, labels=LABELS, **more):
    with pytest.raises(CaseError, match=words):
        Cases.from_arrays(images_of() if images is None else images, labels, **more)


def test_images_that_cannot_be():
    refused(r"case case-0004: 1 values of its image are not finite", with_value(np.nan))
    refused(r"case d: 1 values of its image are not finite", with_value(np.inf), names=list("abcdef"))
    refused("case-0004: 1 values of its image are not finite", with_value(1e300, kind=np.float64))
    refused(r"case-0001: image of uint8, expected floating numbers", images_of().astype(np.uint8))
    refused(r"images of shape \(6, 5, 7\), expected \(N, C, rows, columns\)", images_of()[:, 0])
    refused(r"images of shape \(0, 1, 5, 7\)", images_of()[:0], [])
    refused(r"images of shape \(6, 1, 0, 7\)", images_of()[:, :, :0])
    uneven = [*images_of()[:5], np.zeros((1, 5, 6), np.float32)]
    refused(r"case case-0006: images of shape \(1, 5, 6\), the first one has \(1, 5, 7\)", uneven)
    refused(r"case f: images of shape \(1, 5, 6\)", uneven, names=list("abcdef"))
    refused("images of type dict, expected an array", {"image": 1})
    refused("images: no array", [[[1.0, 2.0]], [[1.0]]])


def test_labels_that_cannot_be():
    refused(r"case case-0002: label '2' is outside the classes 0 \(a\), 1 \(b\)", labels=[0, 2] * 3, classes=["a", "b"])
    refused("case case-0002: label '-1', expected a whole number from 0 to 999", labels=[0, -1] * 3)
    refused("case case-0001: label '0.5', expected a whole number", labels=[0.5] * 6)
    refused("case case-0001: label 'nan'", labels=[np.nan] * 6)
    refused(r"case case-0001: label 'a', .* or names of the classes 0, 1, ... in classes=", labels=list("aabbaa"))
    refused("label '123456789', expected a whole number from 0 to 999", labels=[123456789, *LABELS[1:]])
    refused(r"labels of shape \(5,\) for 6 images, expected one an image", labels=LABELS[:5])
    refused(r"labels of shape \(6, 1\) for 6 images", labels=np.array(LABELS)[:, None])


def test_masks_that_cannot_be():
    masks = np.zeros((COUNT, 5, 7), np.int64)
    refused(r"masks of shape \(5, 5, 7\) for images of \(6, 1, 5, 7\)", masks=masks[:5])
    refused(r"masks of shape \(6, 7, 5\) for images of \(6, 1, 5, 7\)", masks=masks.transpose(0, 2, 1))
    refused(r"masks of shape \(6, 2, 5, 7\)", masks=np.stack([masks, masks], axis=1))
    masks[4, 0, 0], masks[4, 1, 1] = 1, 3
    refused("case case-0005: its mask has the values 0, 1, 3, expected bool or 0 and 1", masks=masks)
    refused("case case-0001: its mask has the values nan", masks=np.full((COUNT, 5, 7), np.nan))


def test_twins_that_cannot_be():
    refused(r"twins of shape \(5, 1, 5, 7\) for 6 images", twins=images_of(count=5))
    refused(r"twins of shape \(6, 2, 5, 7\) for images of \(6, 1, 5, 7\)", twins=images_of((2, 5, 7)))
    refused("case case-0004: 1 values of its twin are not finite", twins=with_value(np.nan))
    twins = images_of() * 0.5
    twins[3] = images_of()[3]
    refused("case case-0004: its twin is the image itself", twins=twins)


def test_what_is_said_of_cases_that_cannot_be():
    refused("case b: 2 images have this name", names=list("abbcde"))
    refused("5 names for 6 images", names=list("abcde"))
    refused(r"image 2: name '  ', expected printable text", names=["a", "  ", *"cdef"])
    refused(r"image 2: name 'b\\nc', expected printable text", names=["a", "b\nc", *"defg"])
    refused("7 patients for 6 images", patients=range(7))
    refused("patients: number 2 is None", patients=["p", None, "p", "p", "p", "p"])
    refused("patients: number 2 is nan", patients=["p", np.nan, "p", "p", "p", "p"])
    refused("case case-0001: patient: name '', expected printable text", patients=["", *"bcdef"])
    refused("case case-0002: split 'dev', expected train, test or None", split=["train", "dev", *["test"] * 4])
    refused("split of 1 for 6 images", split=["train"])
