"""Training on perturbed images: what is masked, that it is drawn from the seed, and that older studies stay."""

import json
from dataclasses import fields

import numpy as np
import pytest
import torch

from quick_study import blobs
from test_classifier_training import SMALL
from tomolens.api import Study
from tomolens.cases import Preprocessing, phantom
from tomolens.classifier import training
from tomolens.classifier.perturbation import AUGMENTING, REMOVING, Perturbation, random_mask
from tomolens.classifier.training import Recipe, train
from tomolens.classifier.weights import weights_hash
from tomolens.errors import SettingsError
from tomolens.results.store import Store
from tomolens.study.content import content_of
from tomolens.study.settings import StudySettings

SHAPES = [(32, 32), (8, 16, 20)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("grain", [1, 4, 16])
def test_masks_have_the_share_and_the_grain_that_is_asked_for(shape, grain):
    for share in (0.1, 0.3, 0.5):
        mask = random_mask(shape, np.random.default_rng(0), grain, (share, share), 3)
        assert mask.shape == shape
        assert float(mask.float().mean()) == pytest.approx(share, abs=0.01 if grain == 1 else 0.06)
    edges = [
        float((random_mask(shape, np.random.default_rng(1), one, (0.4, 0.4), 3).int().diff(dim=-1) != 0).float().mean())
        for one in (1, 4, 16)
    ]
    assert edges[0] > edges[1] > edges[2]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("channels", [1, 3])
def test_masked_pixels_are_the_mean_of_their_channel_in_all_channels_alike(shape, channels):
    images = torch.rand(40, channels, *shape, generator=torch.Generator().manual_seed(2))
    made = AUGMENTING.apply(images, np.random.default_rng(0))
    assert torch.equal(made, AUGMENTING.apply(images, np.random.default_rng(0)))
    assert not torch.equal(made, AUGMENTING.apply(images, np.random.default_rng(1)))
    shares = []
    for image, one in zip(images, made, strict=True):
        changed = image != one
        assert torch.equal(changed, changed[:1].expand_as(changed))
        means = image.mean(dim=tuple(range(1, image.ndim)), keepdim=True)
        assert torch.equal(one, torch.where(changed, means, image))
        shares.append(float(changed[0].float().mean()))
    assert 10 <= sum(share > 0 for share in shares) <= 30
    assert 0.3 < max(shares) < 0.56
    removed = (REMOVING.apply(images, np.random.default_rng(0)) != images)[:, 0].flatten(1).float().mean(dim=1)
    np.testing.assert_allclose(removed, 0.1, atol=0.01)


@pytest.mark.parametrize("twins", [False, True])
def test_images_of_a_step_are_perturbed_and_validation_is_not(monkeypatch, twins):
    steps, validated, settled = [], [], []
    step, check, settle = training._step, training.validate, training.settle_batch_norm
    monkeypatch.setattr(training, "_step", lambda *given: (steps.append(given[1]), step(*given))[1])
    monkeypatch.setattr(training, "validate", lambda *given: (validated.append(given[1]), check(*given))[1])
    monkeypatch.setattr(training, "settle_batch_norm", lambda *given: (settled.append(given[1]), settle(*given))[1])
    cases = phantom.cases(24, preprocessing=Preprocessing(32, (-1000, 400)), finding="consolidation")
    recipe = Recipe("local", epochs=3, batch_size=8, augment=False, twins=twins, perturb=True, arguments={"width": 4})
    train(cases, recipe)
    known = {image.tobytes(): image for image in (*cases.images(), *(case.twin for case in cases))}
    changed = [image for batch in steps for image in batch.numpy() if image.tobytes() not in known]
    assert 0.3 < len(changed) / sum(map(len, steps)) < 0.7
    assert all(image.tobytes() in known for batch in (*validated, *settled) for image in batch.numpy())
    if twins:  # a case and its twin lose the same pixels
        originals = list(known.values())
        for batch in steps:
            for one, other in zip(*batch.numpy().reshape(2, -1, 1, 32, 32), strict=True):
                hidden = [image == np.median(image) for image in (one, other)]
                if one.tobytes() not in known and min(map(np.mean, hidden)) > 0.45:
                    assert (hidden[0] == hidden[1]).mean() > 0.95
        assert len(originals) == 48


def test_it_is_drawn_from_the_seed_and_changes_nothing_where_it_is_not_asked_for():
    cases = phantom.cases(20, preprocessing=SMALL)

    def trained(seed=3, **changes):
        recipe = Recipe("local", epochs=2, batch_size=8, arguments={"width": 4}, **changes)
        return weights_hash(train(cases, recipe, seed=seed).network)

    assert trained(perturb=True) == trained(perturb=True)
    assert trained(perturb=True) != trained(perturb=True, seed=4)
    assert trained(perturb=True) != trained() == trained(perturb=False)
    assert (
        Perturbation(chance=0.0).apply(torch.ones(2, 1, 4, 4), np.random.default_rng(0)).equal(torch.ones(2, 1, 4, 4))
    )


@pytest.mark.parametrize(("classes", "channels"), [(2, 1), (3, 2)])
def test_networks_of_any_classes_and_channels_learn_so(classes, channels):
    cases = blobs(18, classes=classes, channels=channels) if channels > 1 else blobs(18, classes=classes)
    assert train(cases, Recipe("resnet18", epochs=1, batch_size=8, perturb=True)).epoch == 1


def test_older_studies_are_known_for_the_same():
    settings = StudySettings.model_validate({"name": "x", "classifier": {"pretraining": {}}})
    content = content_of(settings)
    before = {one.name for one in fields(Recipe)} - {"perturb"}
    assert set(content["classifier"]["recipe"]) == before
    assert set(content["classifier"]["pretraining"]["recipe"]) == before
    assert StudySettings.model_validate(content) == settings
    asked = StudySettings.model_validate({"name": "x", "classifier": {"recipe": {"perturb": True}}})
    assert content_of(asked)["classifier"]["recipe"]["perturb"] is True
    assert content_of(asked)["classifier"]["pretraining"] is None


SMALL_STUDY = {
    "name": "perturbed",
    "examples": 0,
    "gallery": 0,
    "cases": {"source": "phantom", "train": 12, "test": 6, "size": 32},
    "estimators": {"names": ["random"], "baselines": []},
    "metrics": {"names": ["fidelity"], "steps": 2},
    "statistics": {"resamples": 100},
}


@pytest.mark.parametrize("perturb", [False, True])
def test_a_study_says_that_its_networks_learned_so(tmp_path, perturb):
    recipe = {"architecture": "local", "arguments": {"width": 4}, "epochs": 1, "batch_size": 8}
    recipe |= {"perturb": True} if perturb else {}
    study = Study.of(StudySettings.model_validate({**SMALL_STUDY, "classifier": {"recipe": recipe}}))
    study.run(tmp_path / "r", workers=1)
    page = (tmp_path / "r" / "report.html").read_text()
    assert ("feature perturbation augmentation" in page) == perturb
    description = Store(tmp_path / "r").description()
    assert ("perturb" in description.settings["classifier"]["recipe"]) == perturb
    assert ("told" in description.raw["networks"][0]) == perturb
    study.run(tmp_path / "r", workers=1)  # the same study goes on
    changed = {**SMALL_STUDY, "classifier": {"recipe": {**recipe, "perturb": not perturb}}}
    with pytest.raises(SettingsError, match=r"differs in settings.classifier.recipe.perturb"):
        Study.of(StudySettings.model_validate(changed)).run(tmp_path / "r", workers=1)
    assert json.loads((tmp_path / "r" / "study.json").read_text())["identity"] == description.raw["identity"]
