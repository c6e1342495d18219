"""Another image, with whose maps a case's are compared, is explained with its own structures, body, fill and twin."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from conftest import convolutional
from tomolens.cases import Cases, Preprocessing, phantom
from tomolens.classifier import Classifier, Intensity
from tomolens.estimators import make_estimator
from tomolens.estimators.subject import References, Scene
from tomolens.metrics.registry import METRICS
from tomolens.study.evaluate import prepare
from tomolens.study.references import draw_references
from tomolens.study.scenes import other_image, scene_of
from tomolens.study.settings import settings_from
from tomolens.study.survey import survey

SIDE, TRAINING = 24, 8


def settings(estimators=("feature-ablation",), parameters=None):
    return settings_from(
        {
            "name": "a",
            "cases": {"source": "phantom", "size": SIDE},
            "estimators": {"names": list(estimators), "parameters": parameters or {}, "references": 6},
            "metrics": {"names": ["randomisation"]},
        },
        "a test",
    )


OF_STRUCTURES = settings(parameters={"feature-ablation": {"parts": "anatomy"}})


def cases():
    """Structures in other places of each case."""
    random = np.random.default_rng(0)
    images = random.random((TRAINING + 4, 1, SIDE, SIDE)).astype(np.float32)
    anatomy = np.zeros((len(images), SIDE, SIDE), np.uint8)
    for labels in anatomy:
        row, column = random.integers(0, SIDE // 2, 2)
        labels[row : row + 10, column : column + 6], labels[row : row + 10, column + 6 : column + 12] = 1, 2
    return Cases.from_arrays(images, np.arange(len(images)) % 2, anatomy=anatomy)


def prepared(found, own, at=-1, references=None):
    torch.manual_seed(0)
    training = np.arange(TRAINING)
    lent = draw_references(found, training, own) if references is None else references
    plan = replace(own.plan, structures=found.structures)
    classifier = Classifier(convolutional(1, 2), "logits", intensity=Intensity(hounsfield=(-160.0, 240.0)))
    return prepare(found.cases[at], classifier, plan, lent, None).evaluand, lent


def differs_within(values, numbers):
    return any(np.ptp(values[numbers == number]) > 0 for number in np.unique(numbers))


def test_the_map_of_another_image_is_constant_within_its_own_structures():
    found = survey(cases())
    for at in range(TRAINING, TRAINING + 4):
        evaluand, _ = prepared(found, OF_STRUCTURES, at)
        other = next(one for one in found.cases if np.array_equal(one.image, evaluand.other.image.numpy()))
        of_other = evaluand.of_another_image["feature-ablation"]
        assert not differs_within(of_other, other.anatomy.labels)
        assert differs_within(of_other, found.cases[at].anatomy.labels)
        altered = evaluand.explain(evaluand.image * 0.9)["feature-ablation"][0].numpy()
        assert not differs_within(altered, found.cases[at].anatomy.labels)  # the case's own where it is altered


def test_noisy_copies_of_another_image_are_explained_with_its_own_structures():
    evaluand, _ = prepared(survey(cases()), OF_STRUCTURES)
    asked = []

    def explanations(image, by, draws, target, scene=None):
        asked.append((draws, scene))
        return {"feature-ablation": image}

    list(METRICS["smooth-randomisation"].measure(replace(evaluand, explanations=explanations)))
    assert {scene is evaluand.other.scene for draws, scene in asked if "another image" in draws} == {True}
    assert {scene for draws, scene in asked if "another image" not in draws} == {None}


def test_another_image_has_structures_where_the_case_has_some():
    found = survey(cases())
    lent = draw_references(found, np.arange(TRAINING), OF_STRUCTURES)
    last = {int(label): place for place, label in enumerate(lent.labels)}
    scenes = [one if at in last.values() else replace(one, anatomy=None) for at, one in enumerate(lent.scenes)]
    for at in range(TRAINING, TRAINING + 4):
        evaluand, _ = prepared(found, OF_STRUCTURES, at, replace(lent, scenes=scenes))
        assert torch.equal(evaluand.other.image, lent.images[last[evaluand.explained]])


def test_an_estimator_by_structures_has_no_null_where_no_training_image_has_them():
    found = survey(cases())
    lent = draw_references(found, np.arange(TRAINING), OF_STRUCTURES)
    evaluand, _ = prepared(found, OF_STRUCTURES, references=References(lent.images, lent.labels))
    assert evaluand.other.scene == Scene()
    assert "feature-ablation" in evaluand.maps
    assert evaluand.of_another_image == {}
    assert not list(METRICS["randomisation"].measure(evaluand))


def test_only_what_estimators_need_is_lent():
    found = survey(phantom.cases(TRAINING, seed=1, preprocessing=Preprocessing(SIDE)))
    training = np.arange(TRAINING)
    plain = draw_references(found, training, settings(["backpropagation"])).scenes
    assert all(one.anatomy is one.twin is one.body is None for one in plain)
    lent = draw_references(found, training, OF_STRUCTURES)
    for image, scene in zip(lent.images, lent.scenes, strict=True):
        case = next(one for one in found.cases if np.array_equal(one.image, image.numpy()))
        np.testing.assert_array_equal(scene.anatomy, case.anatomy.numbered(found.structures))
        assert scene.spacing == (None if case.grid is None else case.grid.spacing)


@pytest.mark.parametrize("need", ["fill", "body", "twin", "spacing", "anatomy"])
def test_another_image_is_seen_as_a_case_of_its_own_would_be(need):
    """By an estimator that needs it: exactly what the training case, studied itself, would be explained with."""
    found = survey(phantom.cases(TRAINING + 4, seed=1, preprocessing=Preprocessing(SIDE)))
    needing = SimpleNamespace(make=lambda: [SimpleNamespace(needs=frozenset({need}))], references=6)
    lent = draw_references(found, np.arange(TRAINING), SimpleNamespace(estimators=needing, seed=0))
    own = settings(["backpropagation"])
    one = type("Needing", (), {"needs": frozenset({need}), "name": "one"})()
    torch.manual_seed(0)
    classifier = Classifier(convolutional(1, 2), "logits", intensity=Intensity(hounsfield=(-160.0, 240.0)))
    plan = replace(own.plan, structures=found.structures, estimators=(make_estimator("backpropagation"), one))
    case = found.cases[-1]
    other = other_image(lent, scene_of(case, classifier, plan, None), case.label, classifier, plan, case.name)
    itself = next(one for one in found.cases if np.array_equal(one.image, other.image.numpy()))
    wanted = getattr(scene_of(itself, classifier, plan, None), need)
    if need == "twin" and (
        classifier.predict(other.image[None])[0] == classifier.predict(torch.from_numpy(wanted)[None])[0]
    ):
        wanted = None
    np.testing.assert_array_equal(getattr(other.scene, need), wanted)
