"""Findings put into slices in HU: where they lie, how sharp and noisy they are, and what a case says of them."""

import doctest

import numpy as np
import pytest
from scipy.ndimage import binary_dilation, binary_erosion, gaussian_filter, uniform_filter

from ct_files import write_slice, write_volume
from tomolens.api import Study
from tomolens.cases import Preprocessing, from_manifest, phantom
from tomolens.cases.files import FileReader, Upright
from tomolens.cases.implants import IMPLANTS, implanted, sharpness, sides
from tomolens.cases.implants.noise import noise_of
from tomolens.cases.implants.sharpness import blur_of, edge_width
from tomolens.cases.implants.tissue import draw_place, find_lungs, find_soft_tissue
from tomolens.cases.phantom.scanner import correlated_noise
from tomolens.errors import CaseError, SettingsError
from tomolens.randomness import generator
from tomolens.study.settings import StudySettings

LUNG = (-1000.0, 400.0)


def chest(index=0, size=256, enhanced=0):
    """A simulated slice as a file would hold it, with the mask of its blood."""
    drawn = phantom.draw(5, index, size)
    return Upright(drawn.hu[enhanced], drawn.mask, (drawn.spacing, drawn.spacing))


def altered(implant, slice, seed=0, label=0):
    return IMPLANTS[implant].alter(slice, label, generator(seed))


def diameters(coverage, spacing):
    """Largest and smallest extent of a finding in mm, over all directions."""
    places = np.argwhere(coverage > 0.5) * spacing
    angles = np.linspace(0, np.pi, 60)
    widths = [np.ptp(places @ (np.sin(angle), np.cos(angle))) for angle in angles]
    return max(widths), min(widths)


def write_cases(folder, labels, masks=(), sizes=None, **options):
    """A manifest of simulated slices as DICOM files, their masks as label maps."""
    lines = ["case,image,label,patient,mask"]
    for index, label in enumerate(labels):
        drawn = phantom.draw(5, index, 192)
        spacing = (drawn.spacing, drawn.spacing)
        write_slice(folder / f"{index}.dcm", drawn.hu[label], spacing=spacing)
        mask = ""
        if index in masks:
            mask = f"{index}_mask.nii.gz"
            write_volume(
                folder / mask, drawn.mask[None].astype(np.uint8), spacing=(*spacing, 1.0), origin=(0.0, 0.0, 0.0)
            )
        lines.append(f"c{index},{index}.dcm,{label},p{index},{mask}")
    (folder / "cases.csv").write_text("\n".join(lines) + "\n")
    return folder / "cases.csv"


@pytest.mark.parametrize("index", range(6))
def test_a_nodule_lies_in_the_lung_and_nothing_else_changes(index):
    slice = chest(index)
    found = altered("nodule", slice, index)
    inside = found.coverage > 0.5
    lungs = find_lungs(slice.hu, slice.spacing)
    assert inside.any()
    assert lungs[inside].all()
    np.testing.assert_array_equal(found.hu[found.coverage == 0], slice.hu[found.coverage == 0])
    assert (found.coverage > 0).mean() < 0.03
    # By the phantom's own account: it is lung, not mediastinum, chest wall or the air around the patient.
    assert (gaussian_filter(slice.hu, 2)[inside] < -500).mean() > 0.8
    assert found.hu[inside].mean() > slice.hu[inside].mean() + 50


def test_the_air_around_a_body_and_gas_in_it_are_no_lung():
    rows, columns = np.mgrid[-128:128, -128:128]
    body = np.hypot(rows, columns) < 110
    hu = np.where(body, 40.0, -1000.0).astype(np.float32)
    hu[np.hypot(rows, columns - 40) < 35] = -990.0
    with pytest.raises(CaseError, match="no lung in this slice"):
        find_lungs(hu, (1.0, 1.0))
    hu[np.hypot(rows, columns + 50) < 9] = -850.0  # as large as a trachea
    with pytest.raises(CaseError, match="no lung in this slice"):
        find_lungs(hu, (1.0, 1.0))
    lung = np.hypot(rows, columns + 50) < 35
    hu[lung] = -850.0
    found = find_lungs(hu, (1.0, 1.0))
    assert (found & lung).sum() / (found | lung).sum() > 0.9


@pytest.mark.parametrize("size", [192, 384])
def test_sizes_are_in_millimetres_at_any_spacing(size):
    slice = chest(0, size)
    for implant, least, most in (("nodule", 4.0, 20.0), ("lesion", 8.0, 24.0)):
        extents = [diameters(altered(implant, slice, seed).coverage, slice.spacing[0]) for seed in range(12)]
        pixel = slice.spacing[0]
        assert max(large for large, _ in extents) < most * 1.25 + 2 * pixel
        assert min(large for large, _ in extents) > 0.7 * least - 2 * pixel
        assert max(large for large, _ in extents) > (least + most) / 2


def test_places_keep_to_their_region_with_pixels_that_are_not_square():
    inside = np.zeros((40, 60), dtype=bool)
    inside[10:30, 10:50] = True
    for seed in range(20):
        x, y, radius = draw_place(inside, 6.0, 2.0, 1.0, (2.0, 0.5), generator(seed))
        # Rows 10 to 29 at 2 mm, columns 10 to 49 at 0.5 mm: half a pixel is left to chance.
        assert 10 * 0.5 + radius - 0.5 <= x <= 49 * 0.5 - radius + 0.5
        assert 10 * 2.0 + radius - 2.0 <= y <= 29 * 2.0 - radius + 2.0
    with pytest.raises(CaseError, match=r"room for a radius of 9\.\d mm, expected at least 50 mm"):
        draw_place(inside, 60.0, 50.0, 1.0, (2.0, 0.5), generator(0))


@pytest.mark.parametrize("blur", [0.6, 1.0, 1.5, 2.2])
def test_sharpness_is_measured(blur):
    rows, columns = np.mgrid[-512:512, -512:512]
    # Drawn at four times the size, so that pixels have their share.
    disc = np.where(np.hypot(rows, columns * 1.2) < 380, 30.0, -900.0)
    small = disc.reshape(256, 4, 256, 4).mean(axis=(1, 3))
    random = generator(3)
    hu = (gaussian_filter(small, blur) + 10 * correlated_noise(random, 256, 1.0)).astype(np.float32)
    assert blur_of(hu) == pytest.approx(blur, rel=0.12)


def test_sharpness_falls_with_more_blur():
    hu = chest(1, 512).hu
    widths = [edge_width(gaussian_filter(hu, blur)) for blur in (0.01, 1.0, 1.5, 2.0)]
    assert widths == sorted(widths)
    assert widths[-1] == pytest.approx(np.hypot(widths[0], 2.0), rel=0.1)
    with pytest.raises(CaseError, match="0 edges between air or lung and soft tissue"):
        edge_width(np.full((64, 64), 40, dtype=np.float32))


@pytest.mark.parametrize(("std", "grain"), [(8.0, 0.5), (20.0, 1.0), (40.0, 1.6)])
def test_noise_is_measured_and_made_alike(std, grain):
    hu = 40 + std * correlated_noise(generator(9), 256, grain)
    hu[:, :100] += np.float32(60) * np.sin(np.arange(100, dtype=np.float32) / 3)  # anatomy
    found = noise_of(hu, np.ones(hu.shape, dtype=bool))
    assert found.std == pytest.approx(std, rel=0.15)
    assert found.grain == pytest.approx(grain, rel=0.2)
    fresh = found.like((256, 200), generator(1))
    assert fresh.shape == (256, 200)
    assert fresh.std() == pytest.approx(std, rel=0.15)


def test_a_solid_nodule_has_the_noise_of_the_slices_soft_tissue():
    ratios = []
    for seed in range(24):
        slice = chest(seed % 4, 512)
        found = altered("nodule", slice, seed)
        core = binary_erosion(found.coverage > 0.98)
        if core.sum() < 40 or found.hu[core].mean() < 0:
            continue
        noise = noise_of(slice.hu, find_soft_tissue(slice.hu, slice.spacing))
        ratios.append(found.hu[core].std() / noise.std)
        assert 5 < found.hu[core].mean() < 75
    assert len(ratios) >= 6
    assert np.median(ratios) == pytest.approx(1.0, abs=0.2)


def test_ground_glass_is_never_darker_and_one_in_three():
    slice, glass = chest(2), 0
    for seed in range(45):
        found = altered("nodule", slice, seed)
        core = found.coverage > 0.95
        if core.sum() < 4 or found.hu[core].mean() > -150:
            continue
        glass += 1
        assert found.hu[core].mean() > slice.hu[core].mean() + 30
        # What is there shows through: only noise may make a pixel darker.
        noise = noise_of(slice.hu, find_soft_tissue(slice.hu, slice.spacing)).std
        assert (found.hu - slice.hu)[core].min() > -5 * noise
    assert 7 <= glass <= 24


def test_the_edge_of_a_nodule_is_as_sharp_as_the_slice():
    """A blurred slice gets a blurred nodule: the same draw, a softer edge."""
    sharp = chest(1, 384)
    soft = Upright(gaussian_filter(sharp.hu, 2.0), None, sharp.spacing)
    # From a tenth to nine tenths of the coverage, relative to the outline.
    rims = [
        np.mean(
            [((one := altered("nodule", slice, seed).coverage) > 0.1).sum() - (one > 0.9).sum() for seed in range(6)]
        )
        for slice in (sharp, soft)
    ]
    assert rims[1] > 1.4 * rims[0]


def test_a_lesion_takes_a_smooth_amount_away():
    slice = chest(3)
    found = altered("lesion", slice, 4)
    taken = slice.hu - found.hu
    core = found.coverage > 0.99
    assert 40 - 1e-2 <= taken[core].mean() <= 80 + 1e-2
    assert taken[core].std() < 1.0  # the noise stays
    np.testing.assert_array_equal(found.hu[found.coverage == 0], slice.hu[found.coverage == 0])
    assert (uniform_filter(slice.hu, 5)[core] > 0).mean() > 0.95


@pytest.mark.parametrize("index", [1, 2, 5])
def test_contrast_agent_is_added_and_the_noise_stays(index):
    slice = chest(index)
    found = altered("contrast", slice, index)
    core = binary_erosion(slice.mask, iterations=4)
    known = chest(index, enhanced=1).hu
    assert 150 - 15 <= np.median(found.hu[core]) <= 400 + 15
    assert known[core].mean() > 150  # the twin that a scanner would have made lies in the same range
    fine = [hu - gaussian_filter(hu, 2) for hu in (slice.hu, found.hu)]
    deep = binary_erosion(slice.mask, iterations=5)
    assert np.corrcoef(fine[0][deep], fine[1][deep])[0, 1] > 0.6
    far = ~binary_dilation(slice.mask, iterations=8)
    np.testing.assert_array_equal(found.hu[far], slice.hu[far])


@pytest.mark.parametrize("index", range(4))
@pytest.mark.parametrize("size", [256, 512])
def test_contrast_agent_is_taken_away_down_to_the_known_twin(index, size):
    enhanced, known = chest(index, size, enhanced=1), chest(index, size).hu
    found = altered("contrast", enhanced, index, label=1)
    agent = np.abs(enhanced.hu - known)[enhanced.mask].mean()
    left = np.abs(found.hu - known)
    core = binary_erosion(enhanced.mask, iterations=round(4 * size / 256))
    assert agent > 100
    assert left[enhanced.mask].mean() < 0.2 * agent
    assert left[core].mean() < 0.08 * agent
    assert 30 < np.median(found.hu[core]) < 56
    fine = [(hu - gaussian_filter(hu, 2))[core] for hu in (known, found.hu)]
    assert np.corrcoef(*fine)[0, 1] > 0.9
    assert fine[1].std() == pytest.approx(fine[0].std(), rel=0.25)


def test_contrast_agent_needs_a_mask_and_the_label_that_the_blood_has():
    slice = chest(1)
    bare = Upright(slice.hu, None, slice.spacing)
    with pytest.raises(CaseError, match="no mask: contrast agent needs to know where blood is"):
        altered("contrast", bare)
    with pytest.raises(CaseError, match="mm2 of blood with contrast agent in its mask, expected at least 50"):
        altered("contrast", slice, label=1)
    with pytest.raises(CaseError, match=r"labelled without contrast, and what its mask holds is at \d+ HU"):
        altered("contrast", chest(1, enhanced=1))


def test_a_case_shows_one_side_and_keeps_the_other_as_its_twin(tmp_path):
    path = write_cases(tmp_path, [0] * 6, masks=(0, 1))
    preprocessing = Preprocessing(128, LUNG)
    originals = {case.name: case for case in from_manifest(path, preprocessing)}
    cases = implanted(from_manifest(path, preprocessing), "nodule", seed=3)
    assert cases.classes == ("without nodule", "with nodule")
    assert sorted(cases.labels) == [0, 0, 0, 1, 1, 1]
    assert cases.names == tuple(originals)
    for case, label in zip(cases, cases.labels, strict=True):
        original = originals[case.name]
        assert case.label == label
        assert (case.patient, case.notes) == (original.patient, original.notes)
        assert not np.array_equal(case.image, case.twin)
        np.testing.assert_array_equal(case.twin if label else case.image, original.image)
        if not label:
            assert case.mask is None  # nor the file's own, which is of something else
            assert case.evidence is None
            continue
        np.testing.assert_allclose(case.evidence, np.abs(case.image - case.twin)[0])
        assert case.mask.dtype == bool
        assert case.mask.any()
        assert case.evidence[case.mask].mean() > 20 * case.evidence[~case.mask].mean()


def test_the_label_of_contrast_turns_and_its_mask_stays(tmp_path):
    path = write_cases(tmp_path, [0, 1] * 4, masks=range(8))
    originals = {case.name: case for case in from_manifest(path, Preprocessing(64))}
    cases = implanted(from_manifest(path, Preprocessing(64)), "contrast", seed=1)
    turned = 0
    for case in cases:
        original = originals[case.name]
        is_altered = case.label != original.label
        turned += is_altered
        np.testing.assert_array_equal(case.twin if is_altered else case.image, original.image)
        np.testing.assert_array_equal(case.mask, original.mask)
        np.testing.assert_allclose(case.evidence, np.abs(case.image - case.twin).sum(axis=0))
        brighter, darker = (case.image, case.twin) if case.label else (case.twin, case.image)
        assert brighter[0][case.mask].mean() > darker[0][case.mask].mean() + 0.2
    assert turned == 4
    assert cases.labels.sum() == 4


def test_sides_are_balanced_within_labels_and_the_same_in_any_order(tmp_path):
    path = write_cases(tmp_path, [0] * 9)
    cases = from_manifest(path, Preprocessing(32, LUNG))
    shown = dict(zip(cases.names, implanted(cases, "nodule", 5).labels, strict=True))
    assert sum(shown.values()) in (4, 5)
    back = cases.select(range(8, -1, -1))
    again = implanted(back, "nodule", 5)
    assert dict(zip(back.names, again.labels, strict=True)) == shown
    np.testing.assert_array_equal(again[0].twin, implanted(cases, "nodule", 5)[8].twin)
    others = [tuple(implanted(cases, "nodule", seed).labels) for seed in range(6)]
    assert len(set(others)) > 1
    assert implanted(cases, "nodule", share=1.0).labels.tolist() == [1] * 9
    assert implanted(cases, "nodule", share=0.0).labels.tolist() == [0] * 9
    counts = [implanted(cases, "nodule", seed).labels.sum() for seed in range(40)]
    assert 4.2 < np.mean(counts) < 4.8  # the odd one goes by a coin
    mixed = from_manifest(write_cases(tmp_path / "mixed", [0, 1] * 10), Preprocessing(32))
    for seed in range(5):
        turned = implanted(mixed, "contrast", seed).labels != mixed.labels
        assert turned[mixed.labels == 0].sum() == turned[mixed.labels == 1].sum() == 5


def test_a_finding_smaller_than_a_pixel_has_a_mask(tmp_path):
    path = write_cases(tmp_path, [0] * 3)
    for seed in range(3):
        for case in implanted(from_manifest(path, Preprocessing(32, LUNG)), "nodule", seed, share=1.0):
            assert case.mask.any()
            assert case.mask.sum() < 12


@pytest.mark.parametrize(("implant", "usual", "waves"), [("nodule", (4.0, 20.0), 0.1), ("lesion", (8.0, 24.0), 0.08)])
def test_implants_are_as_large_as_is_asked(implant, usual, waves):
    slice = chest(1)
    pixel = slice.spacing[0]
    for seed in range(6):
        alter = IMPLANTS[implant].alter
        own, same = alter(slice, 0, generator(seed)), alter(slice, 0, generator(seed), usual)
        np.testing.assert_array_equal(own.hu, same.hu)
        for least, largest in ((8.0, 9.0), (14.0, 14.0)):
            longest, _ = diameters(alter(slice, 0, generator(seed), (least, largest)).coverage, pixel)
            # The outline waves about an ellipse; between centres of pixels up to two pixels are not counted.
            assert (1 - waves) * least - 2.5 * pixel < longest < (1 + waves) * largest + pixel


def test_how_large_implants_are_is_kept_for_reading_them(tmp_path):
    cases = from_manifest(write_cases(tmp_path, [0] * 4), Preprocessing(96, LUNG))
    small, large = (implanted(cases, "nodule", 2, 1.0, mm) for mm in ((5.0, 6.0), (16.0, 18.0)))
    for one, other in zip(small, large, strict=True):
        assert one.mask.sum() < other.mask.sum()
    with pytest.raises(SettingsError, match="contrast agent has no size"):
        implanted(cases, "contrast", diameters=(4.0, 20.0))
    with pytest.raises(SettingsError, match="expected the least diameter and the largest"):
        implanted(cases, "nodule", diameters=(20.0, 4.0))


def test_what_cannot_take_implants_is_refused(tmp_path):
    with pytest.raises(SettingsError, match="come from PhantomReader, and implants need images in HU"):
        implanted(phantom.cases(2), "nodule")
    path = write_cases(tmp_path, [0, 1, 1])
    cases = from_manifest(path, Preprocessing(32, LUNG))
    with pytest.raises(CaseError, match="case c1 and 1 more have label 1, i.e. a nodule of their own"):
        implanted(cases, "nodule")
    with pytest.raises(SettingsError, match="implant 'wart', expected nodule, lesion, contrast"):
        implanted(cases, "wart")
    with pytest.raises(SettingsError, match="share 1.5"):
        implanted(cases, "contrast", share=1.5)
    with pytest.raises(CaseError, match="case c0: .*no mask"):
        implanted(cases, "contrast")[0]
    volumes = from_manifest(path, Preprocessing(32), dimensions=3)
    with pytest.raises(SettingsError, match="into slices .2 dimensions. alone; into volumes go nodule, lesion"):
        implanted(volumes, "contrast")
    dark = implanted(from_manifest(path, Preprocessing(128, (300.0, 600.0))).select([0]), "nodule")
    with pytest.raises(
        CaseError,
        match=r"the nodule does not show in 128 x 128 pixels and the window 300 to 600 HU; .* -1000 to 400 HU, it may",
    ):
        dark[0]
    twice = implanted(cases, "contrast")
    with pytest.raises(SettingsError, match="come from ImplantReader"):
        implanted(twice, "contrast")


@pytest.mark.parametrize("module", [sides, sharpness])
def test_the_examples_run(module):
    assert doctest.testmod(module) == (0, {sides: 10, sharpness: 2}[module])


def settings(**cases):
    return StudySettings.model_validate({"name": "x", "cases": cases})


def test_a_study_puts_implants_into_its_manifest(tmp_path):
    path = write_cases(tmp_path, [0] * 4)
    chosen = settings(implant="nodule", size=32)
    assert chosen.cases.classes == ("without nodule", "with nodule")
    assert chosen.cases.window == LUNG
    assert settings(implant="nodule", window=[-900, 300]).cases.window == (-900, 300)
    assert StudySettings.model_validate(chosen.model_dump()) == chosen
    study = Study.of(chosen, path)
    assert study.on_error == "skip"
    assert Study.of(settings(implant="nodule", on_error="stop"), path).on_error == "stop"
    cases = study.load_cases()
    assert cases.labels.sum() == 2
    assert cases[0].twin is not None
    own = Study.of(settings(implant="nodule", classes=["clear", "nodule"], size=32), path).load_cases()
    assert own.classes == ("clear", "nodule")
    given = Study.of(chosen, from_manifest(path, Preprocessing(32, LUNG))).load_cases()
    np.testing.assert_array_equal(given.labels, cases.labels)
    with pytest.raises(SettingsError, match="a nodule goes into cases without one"):
        Study.of(chosen, tmp_path).load_cases()


@pytest.mark.parametrize(
    ("cases", "message"),
    [
        ({"source": "phantom", "implant": "nodule"}, "implant: it goes into the slices of a manifest"),
        ({"implant": "wart"}, "implant"),
        ({"implant": "nodule", "classes": ["a", "b", "c"]}, "an implant is there or not, and 3 are named"),
        ({"implant": "nodule", "size": [8, 8, 8]}, "slices have two axes, rows and columns"),
    ],
)
def test_settings_that_cannot_be_are_refused(cases, message):
    with pytest.raises(ValueError, match=message):
        settings(**cases)


@pytest.fixture(scope="module")
def real_slices():
    from conftest import CT

    if not CT.is_dir():
        pytest.skip(f"no real CT at {CT}: set TOMOLENS_CT to the folder that holds tcga-contrast/")
    cases = from_manifest(CT / "tcga-contrast" / "cases.csv", Preprocessing(size=128))
    assert isinstance(cases.read, FileReader)
    return [(entry, cases.read.upright(entry)) for entry in cases.entries]


def test_nodules_lie_in_the_lungs_of_real_slices(real_slices):
    taken, ratios, reasons = 0, [], set()
    for entry, slice in real_slices:
        try:
            found = IMPLANTS["nodule"].alter(slice, 0, generator(0, entry.name))
        except CaseError as error:
            reasons.add(str(error).split(":")[0])
            continue
        taken += 1
        inside = found.coverage > 0.5
        around = binary_dilation(inside, iterations=3) & ~inside
        assert np.median(slice.hu[around]) < -450, entry.name
        np.testing.assert_array_equal(found.hu[found.coverage == 0], slice.hu[found.coverage == 0])
        core = binary_erosion(found.coverage > 0.999)
        if core.sum() > 60 and found.hu[core].mean() > 0:
            noise = noise_of(slice.hu, find_soft_tissue(slice.hu, slice.spacing))
            ratios.append(found.hu[core].std() / noise.std)
    assert taken == 48
    assert reasons == {"no lung in this slice"}
    assert len(ratios) > 10
    assert np.median(ratios) == pytest.approx(1.0, abs=0.15)


def test_contrast_agent_comes_and_goes_in_real_slices(real_slices):
    done = {0: 0, 1: 0}
    for entry, slice in real_slices:
        if slice.mask is None:
            continue
        found = IMPLANTS["contrast"].alter(slice, entry.label, generator(0, entry.name))
        core = binary_erosion(slice.mask, iterations=3) & (
            find_soft_tissue(slice.hu, slice.spacing) | bool(entry.label)
        )
        done[entry.label] += 1
        if core.sum() < 40:
            continue
        level = np.median(found.hu[core])
        assert (30 < level < 65) if entry.label else (140 < level < 415), (entry.name, level)
    assert done == {0: 25, 1: 27}
