import numpy as np
import pytest
import torch
from torch.nn import functional

from ct_files import body, write_slice
from quick_study import SETTINGS, Moody
from tomolens.api import Study
from tomolens.cases import CaseEntry, from_manifest, phantom
from tomolens.cases.body import body_of
from tomolens.cases.files import FileReader
from tomolens.cases.preprocessing import Preprocessing, resize_image, resize_mask, window
from tomolens.classifier import Classifier
from tomolens.errors import CaseError, SettingsError
from tomolens.report.warnings import warnings
from tomolens.study.settings import StudySettings
from tomolens.study.survey import survey


def test_window_maps_its_limits_to_zero_and_one():
    np.testing.assert_allclose(window(np.array([-1000.0, -160, 40, 240, 3000]), (-160, 240)), [0, 0, 0.5, 1, 1])


def test_resize_is_torchs_antialiased_bilinear():
    image = np.random.default_rng(0).random((61, 47), dtype=np.float32)
    wanted = functional.interpolate(torch.from_numpy(image)[None, None], (24, 24), mode="bilinear", antialias=True)
    np.testing.assert_allclose(resize_image(image, (24, 24)), wanted[0, 0], atol=1e-6)


def test_volumes_resize_too():
    volume = np.ones((5, 7, 9), np.float32)
    assert Preprocessing(size=6).image(volume).shape == (1, 6, 6, 6)
    assert resize_mask(volume > 0, (6, 6, 6)).all()


def test_each_axis_may_have_its_own_size():
    slices = Preprocessing(size=(160, 224))
    hu = np.random.default_rng(0).uniform(-200, 300, (100, 90))
    assert slices.image(hu).shape == (1, 160, 224)
    assert slices.mask(hu > 0).shape == slices.body(hu).shape == (160, 224)
    np.testing.assert_array_equal(Preprocessing(size=(40, 40)).image(hu), Preprocessing(size=40).image(hu))
    for size, dimensions in (((160, 224), 3), ((8, 9, 10), 2)):
        with pytest.raises(SettingsError, match=rf"has {len(size)} numbers, images have {dimensions} axes"):
            FileReader(Preprocessing(size), dimensions=dimensions)
    with pytest.raises(SettingsError, match=r"size \[8, 8, 8\] has 3 numbers, images have 2 axes"):
        phantom.cases(2, preprocessing=Preprocessing((8, 8, 8)))


def test_a_pixel_of_the_body_is_air_in_no_channel():
    image = np.zeros((2, 12, 12))
    image[0, 2:10, 2:6], image[1, 2:10, 6:10] = 0.8, 0.2
    wanted = np.zeros((12, 12), bool)
    wanted[2:10, 2:10] = True
    wanted[[2, 2, 9, 9], [2, 9, 2, 9]] = False  # the opening rounds corners
    np.testing.assert_array_equal(body_of(image, 0.1), wanted)


def test_mask_resize_is_nearest():
    mask = np.zeros((8, 8), bool)
    mask[2:4, 4:8] = True
    np.testing.assert_array_equal(resize_mask(resize_mask(mask, (16, 16)), (8, 8)), mask)


def image_of(tmp_path, hu, **tags):
    path = write_slice(tmp_path / "a.dcm", hu, **tags)
    return FileReader(Preprocessing(size=32))(CaseEntry("a", 0, "p", source=str(path)))


@pytest.mark.parametrize(
    ("low", "high", "message"),
    [
        (-1000, -1000, "values from -1000 to -1000 HU are one grey in the window -160 to 240 HU"),
        (0, 1, "values from 0 to 1 HU are one grey"),
        (-1000, -200, "values from -1000 to -200 HU are one grey"),
        (300, 1200, "nothing is below -200 HU and .* above 700: its rescaling to HU is missing or wrong"),
    ],
)
def test_images_that_the_window_cannot_show_are_refused(tmp_path, low, high, message):
    hu = np.round(np.random.default_rng(0).uniform(low, high, (32, 32)))
    with pytest.raises(CaseError, match=rf"case a: .*a\.dcm: {message}"):
        image_of(tmp_path, hu)


def test_images_without_their_intercept_are_refused_and_crops_are_told(tmp_path):
    scene = np.full((32, 32), -1000.0)
    scene[6:28, 4:30] = -100 + 10 * (np.arange(26) % 17)
    scene[10:14, 8:20] = -850
    assert image_of(tmp_path, scene).notes == ()
    with pytest.raises(CaseError, match="its rescaling to HU is missing or wrong"):
        image_of(tmp_path, scene + 1024)
    crop = image_of(tmp_path, scene[16:28, 4:30])
    assert crop.notes == (
        "nothing is below -200 HU: cropped to the body, or not in Hounsfield units",
        "its 12 x 26 pixels are stretched to equal sides",
    )
    (stretched,) = FileReader(Preprocessing((32, 16)))(
        CaseEntry("a", 0, "p", source=str(write_slice(tmp_path / "b.dcm", scene)))
    ).notes
    assert stretched == "its 32 x 32 pixels are stretched to 32 x 16"
    kept = write_slice(tmp_path / "c.dcm", scene[4:28])
    assert FileReader(Preprocessing((48, 64)))(CaseEntry("a", 0, "p", source=str(kept))).notes == ()
    skull = scene[16:28, 4:30].copy()
    skull[:2] = 1500
    assert image_of(tmp_path, skull).notes == crop.notes


def test_notes_of_files_reach_the_report(tmp_path):
    lines = ["case,image,label,patient"]
    for number in range(12):
        hu = body(1, 32, 32, seed=number)[0].clip(-150) - (0 if number < 3 else 300)
        write_slice(tmp_path / f"{number}.dcm", hu)
        lines.append(f"c{number},{number}.dcm,{number % 2},p{number}")
    (tmp_path / "cases.csv").write_text("\n".join(lines))
    cases = from_manifest(tmp_path / "cases.csv", Preprocessing(size=16))
    odd = "nothing is below -200 HU: cropped to the body, or not in Hounsfield units"
    airless = sum(case.notes == (odd,) for case in cases)
    assert airless == 3
    assert survey(cases).notes == {odd: airless}
    settings = StudySettings.model_validate(SETTINGS | {"cases": {"size": 16}})
    findings = Study(settings, cases=cases, classifier=Classifier(Moody().eval())).run(tmp_path / "out")
    assert f"in {airless} of 12 cases {odd}" in warnings(findings)


def test_every_real_slice_counts_as_calibrated(real_ct):
    cases = from_manifest(real_ct / "tcga-contrast" / "cases.csv", Preprocessing(size=64))
    assert not any("-200 HU" in note for case in cases for note in case.notes)
    for name in ("chest_ct.nii.gz", "torso_ct.nii.gz"):
        path = real_ct / "totalsegmentator" / name
        reader = FileReader(Preprocessing(size=64))
        for index in range(0, 112, 10):
            (stretched,) = reader(CaseEntry("a", 0, "p", source=str(path), slice=index)).notes
            assert "pixels are stretched to equal sides" in stretched
