"""Real slices through the whole path: reading, folds by patient, training, explaining, measuring, reporting."""

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk

from tomolens.api import Study
from tomolens.cases import MaskChoice, Preprocessing, from_manifest
from tomolens.cases.dicom.pixels import AIR
from tomolens.cases.masks import read_mask
from tomolens.cases.slices import SliceChoice
from tomolens.cases.sources.dicom_tree import IndexOptions, index_dicom
from tomolens.cases.splits import inseparable_groups
from tomolens.cases.stored import find_series, read_source
from tomolens.errors import CaseError
from tomolens.study.folds import folds_of
from tomolens.study.settings import StudySettings, read_settings


@pytest.fixture
def manifest(real_ct):
    return real_ct / "tcga-contrast" / "cases.csv"


@pytest.fixture
def study_file(request):
    return request.config.rootpath / "studies" / "tcga-contrast.toml"


def test_every_slice_is_read_as_ct(manifest):
    cases = from_manifest(manifest, Preprocessing(size=128))
    assert len(cases) == 70
    assert cases.labels.sum() == 35
    masked = 0
    for case in cases:
        assert case.image.shape == (1, 128, 128)
        assert 0.0 <= case.image.min() < case.image.max() <= 1.0
        body = (case.image > 0.05).mean()
        assert 0.08 < body < 0.9, case.name
        if case.mask is not None:
            masked += 1
            assert 0 < case.mask.mean() < 0.2
            # Blood lies in the soft-tissue window: brighter with contrast agent than without.
            assert case.image[0][case.mask].mean() > (0.5 if case.label else 0.3), case.name
    assert masked == 52


def affine_of(image):
    """LPS affine (slice, row, column) of a SimpleITK image."""
    affine = np.eye(4)
    affine[:3, :3] = np.array(image.GetDirection()).reshape(3, 3) * image.GetSpacing()
    affine[:3, 3] = image.GetOrigin()
    return affine[:, [2, 1, 0, 3]]


def test_every_file_equals_simpleitk(real_ct):
    """HU, spacing, orientation and position; padding, which SimpleITK does not know, is air."""
    for path in sorted(real_ct.rglob("*.dcm")):
        volume, image = read_source(path), sitk.ReadImage(str(path))
        reference = sitk.GetArrayFromImage(image).astype(np.float32)
        padded = volume.hu == AIR
        np.testing.assert_allclose(volume.hu[~padded], reference[~padded], rtol=0, atol=1e-4)
        assert (reference[padded] <= AIR).all()
        np.testing.assert_allclose(volume.grid.affine[:, 1:], affine_of(image)[:, 1:], atol=1e-4)


def test_volumes_equal_nibabel_and_simpleitk(real_ct):
    for path in sorted((real_ct / "totalsegmentator").glob("*.nii.gz")):
        volume, image, other = read_source(path), sitk.ReadImage(str(path)), nibabel.load(path)
        np.testing.assert_array_equal(volume.hu, sitk.GetArrayFromImage(image))
        np.testing.assert_array_equal(volume.hu.transpose(2, 1, 0), np.asarray(other.dataobj))
        np.testing.assert_allclose(volume.grid.affine, affine_of(image), atol=1e-3)
        np.testing.assert_allclose(
            np.diag([-1, -1, 1, 1]) @ volume.grid.affine[:, [2, 1, 0, 3]], other.affine, atol=1e-4
        )
        assert volume.upright().grid.axes == "SPL"


def test_the_series_is_ordered_and_equals_simpleitk(real_ct):
    folder = real_ct / "totalsegmentator" / "series"
    series = find_series(folder)
    heights = [header.position[2] for header in series.headers]
    assert heights == sorted(heights)
    assert len(heights) == 20
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames([str(place) for place in series.places])
    image = reader.Execute()
    volume = read_source(folder)
    np.testing.assert_array_equal(volume.hu, sitk.GetArrayFromImage(image))
    np.testing.assert_allclose(volume.grid.affine, affine_of(image), atol=1e-4)
    assert volume.grid.spacing[0] == pytest.approx(2.0)


def test_a_mask_on_another_grid_is_refused_or_resampled(real_ct):
    folder = real_ct / "totalsegmentator"
    chest = read_source(folder / "chest_ct.nii.gz")
    artery = read_mask([folder / "chest_pulmonary_artery.nii.gz"], chest, MaskChoice())
    blood = chest.upright().hu[artery]
    assert artery.any()
    assert blood.mean() > 200  # arterial phase: the mask lies on what it names
    with pytest.raises(CaseError, match=r"191 x 167 x 233 voxels .* the image is 112 x 102 x 122 voxels"):
        read_mask([folder / "chest_heart.nii.gz"], chest, MaskChoice())
    heart = read_mask([folder / "chest_heart.nii.gz"], chest, MaskChoice(resample=True))
    tissue = chest.upright().hu[heart]
    assert heart.sum() > 10_000
    assert np.mean((tissue > -50) & (tissue < 700)) > 0.9


def test_slices_of_real_scans_through_an_index(real_ct, tmp_path):
    index = index_dicom(real_ct / "totalsegmentator", IndexOptions(slices=SliceChoice.parse("count=3")))
    index.write(tmp_path / "cases.csv")
    cases = from_manifest(tmp_path / "cases.csv", Preprocessing(size=128))
    assert len(cases) == 3
    assert cases.labels.tolist() == [1, 1, 1]  # ContrastBolusAgent is filled here
    for case in cases:
        # Front up: the couch and the spine are in the lower half, air above the chest in the upper.
        assert case.image[0, 64:].mean() > case.image[0, :64].mean()


def test_duplicates_and_patients_stay_together(manifest, study_file):
    cases = from_manifest(manifest, Preprocessing(size=128))
    assert len(set(cases.fingerprints)) < 70
    assert len(set(cases.patients)) == 36
    folds = folds_of(read_settings(study_file), cases)
    for fold in folds:
        for names in (cases.patients, cases.fingerprints):
            assert not {names[i] for i in fold.training} & {names[i] for i in fold.held_out}
        assert set(cases.labels[fold.held_out].tolist()) == {0, 1}
    assert inseparable_groups(cases.patients, cases.fingerprints).max() < 36


def test_the_whole_study_on_some_real_slices(manifest, tmp_path):
    settings = StudySettings.model_validate(
        {
            "name": "real",
            "examples": 2,
            "cases": {"size": 64, "folds": 2},
            "classifier": {"recipe": {"architecture": "resnet18", "epochs": 2, "batch_size": 8}},
            "estimators": {"parameters": {"smoothgrad": {"samples": 3}, "smoothgrad-squared": {"samples": 3}}},
            "metrics": {"steps": 10},
            "statistics": {"resamples": 200},
        }
    )
    everything = from_manifest(manifest, Preprocessing(size=64))
    findings = Study(settings, cases=everything.select(np.arange(0, 70, 6))).run(tmp_path / "r")
    assert (findings.table("fidelity")["cases"] == 12).all()
    assert len(findings.table("roc")) == 14
    assert findings.table("roc")["auc"].between(0, 1).all()
    assert (tmp_path / "r" / "report.html").exists()
