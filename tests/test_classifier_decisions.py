"""Quick ways to decisions, checked and audited against the network's own."""

import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from conftest import SMALL, SMALL_STUDY, assert_same_state, convolutional, state_of
from tomolens.api import Study
from tomolens.cases import from_manifest, phantom
from tomolens.classifier import Classifier, quick
from tomolens.classifier.decisions import (
    AUDITED,
    COMPARED,
    COMPARED_ANEW,
    FEWEST,
    FEWEST_AUDITED,
    Undecided,
    decide,
    decide_together,
)
from tomolens.classifier.openvino_backends import is_here, openvino_int8
from tomolens.classifier.quick import BACKENDS, EIGHT_BITS, SAFETY, Quick, quickest, with_errors
from tomolens.estimators import References
from tomolens.imputers.fills import imputer
from tomolens.metrics.masking import masked_decisions
from tomolens.metrics.ranked import rank_map
from tomolens.study.references import masked_references
from tomolens.study.settings import StudySettings

HERE = [name for name in BACKENDS if not name.startswith("compiled")]
ROUGH = {"folded-fp32": 1e-4, "openvino-fp32": 1e-4}
BF16 = 0.1
"""Rounding to 8 bits, layer after layer."""


def by_way(classifier, name, example):
    return Classifier(classifier.network, quick=Quick(name, BACKENDS[name](classifier.network, example), len(example)))


@pytest.mark.parametrize("name", HERE)
def test_every_way_gives_the_networks_outputs_nearly(name, trained):
    if name.startswith("openvino") and not is_here():
        pytest.skip("the extra `openvino` is not installed")
    images = torch.from_numpy(phantom.cases(8, seed=5, preprocessing=SMALL).images())
    before = state_of(trained.network)
    with torch.inference_mode(), trained.frozen():
        outputs = BACKENDS[name](trained.network, images)(images)
        expected = trained.network(images)
    assert outputs.dtype == torch.float32
    np.testing.assert_allclose(outputs, expected, atol=ROUGH.get(name, BF16 * float(expected.abs().max())))
    assert_same_state(before, state_of(trained.network))


def fidelity_inputs(cases):
    """Each case with two rankings and the value of masked pixels."""
    for case in cases:
        random = np.random.default_rng(0).random(case.image.shape)
        rankings = [rank_map(importance, name=case.name) for importance in (case.image - 0.4, random)]
        yield torch.from_numpy(case.image), rankings, 1.0 - case.label


def disagreements(trained, cases, names, steps):
    """For each way: decisions that differ from the network's own, and the share of images that it was asked again."""
    example = torch.from_numpy(cases[0].image).expand(16, 1, 64, 64)
    ways = {name: by_way(trained, name, example) for name in names}
    differ, asked, total = dict.fromkeys(names, 0), dict.fromkeys(names, 0), 0
    for image, rankings, fill in fidelity_inputs(cases):
        plain = masked_decisions(trained, rankings, imputer(fill, image, 0), steps, 16).classes
        total += plain.size
        for name, classifier in ways.items():
            differ[name] += int(
                (masked_decisions(classifier, rankings, imputer(fill, image, 0), steps, 16).classes != plain).sum()
            )
        noisy = image * torch.linspace(0, 1, FEWEST)[:, None, None, None]
        for name, classifier in ways.items():
            decided = decide(classifier, lambda numbers, images=noisy: images[list(numbers)], FEWEST, 16)
            differ[name] += int((decided.classes != trained.predict(noisy)).sum())
            asked[name] += decided.asked
    return differ, {name: count / (FEWEST * len(cases)) for name, count in asked.items()}


def ways_here(suffix):
    return [name for name in HERE if name.endswith(suffix) and (is_here() or not name.startswith("openvino"))]


def test_no_decision_differs_on_simulated_slices(trained):
    cases = phantom.cases(6, seed=5, preprocessing=SMALL)
    differ, asked = disagreements(trained, cases, ways_here(""), steps=20)
    assert set(differ.values()) == {0}
    assert asked["folded-fp32"] <= asked["folded-bf16"] < 1


def test_no_decision_differs_on_any_real_slice(trained, real_ct):
    cases = from_manifest(real_ct / "tcga-contrast" / "cases.csv", SMALL)
    differ, asked = disagreements(trained, cases, ways_here("bf16"), steps=6)
    assert len(cases) == 70
    assert set(differ.values()) == {0}
    assert all(share < 0.9 for share in asked.values())


@given(st.integers(0, 10_000), st.floats(0.001, 1.0), st.integers(64, 300))
def test_errors_of_any_ordinary_kind_turn_no_decision(seed, size, count):
    random = np.random.default_rng(seed)
    scores = torch.from_numpy(random.normal(0, 1, count)).float()
    error = torch.from_numpy(random.uniform(-size, size, count)).float()
    decided = decide_with(scores, scores + error)
    np.testing.assert_array_equal(decided.classes, (scores > 0).long())
    assert decided.asked >= min(COMPARED, count)
    left = count - decided.asked
    assert decided.images == count
    assert decided.quick == left - decided.audited
    assert decided.audited >= min(FEWEST_AUDITED, left)
    assert decided.audited >= AUDITED * left


@given(st.integers(0, 10_000), st.floats(0.05, 3.0), st.integers(100, 300))
def test_a_finer_backend_is_asked_before_the_network_is(seed, size, count):
    random = np.random.default_rng(seed)
    scores = torch.from_numpy(random.normal(0, 5, count)).float()
    rough, fine = (scores + torch.from_numpy(random.uniform(-one, one, count)).float() for one in (size, size / 100))
    alone, both = decide_with(scores, rough, seed=seed), decide_with(scores, rough, fine, seed=seed)
    for decided in (alone, both):
        np.testing.assert_array_equal(decided.classes, (scores > 0).long())
    assert both.asked <= alone.asked
    assert both.quick == count - both.asked - both.audited
    assert both.bound >= alone.bound * 0.5


def test_a_finer_backend_that_is_no_better_leaves_it_to_the_network():
    random = np.random.default_rng(0)
    scores = torch.from_numpy(random.normal(0, 5, 300)).float()
    rough, same = (scores + torch.from_numpy(random.uniform(-2, 2, 300)).float() for _ in range(2))
    decided = decide_with(scores, rough, same)
    np.testing.assert_array_equal(decided.classes, (scores > 0).long())
    exactly = decide_with(scores, rough, scores)  # which says nothing of its errors elsewhere
    np.testing.assert_array_equal(exactly.classes, (scores > 0).long())
    assert exactly.asked >= decide_with(scores, rough).asked


def decide_with(scores, *rougher, seed=0):
    """Decisions where the network gives some scores and its quick backends others, the roughest first."""
    images = torch.stack([scores, *rougher], dim=1)[:, None, None, :]  # images carry their scores
    found = None
    for column in range(len(rougher), 0, -1):
        found = Quick(f"number {column}", Column(column), 16, finer=found)
    classifier = Classifier(Column(0), quick=found)
    return decide(classifier, lambda numbers: images[list(numbers)], len(images), 16, np.random.default_rng(seed))


@given(st.integers(0, 10_000), st.lists(st.integers(1, 200), min_size=1, max_size=4))
def test_cases_are_decided_together_as_alone(seed, counts):
    random = np.random.default_rng(seed)
    stacks, undecided = [], []
    for number, count in enumerate(counts):
        exact = np.cumsum(random.normal(0, 1, count)) + random.normal(0, 5)
        rough, fine = (exact + random.uniform(-size, size, count) for size in (0.5, 0.01))
        images = torch.from_numpy(np.stack([exact, fine, rough], axis=1)).float()[:, None, None, :]
        lines = [np.arange(count // 2), np.arange(count // 3, count)] if count > 3 else []
        stacks.append(images)
        draws = np.random.default_rng([seed, number])
        undecided.append(Undecided(lambda numbers, images=images: images[list(numbers)], count, draws, lines))
    finer = Quick("fine", Column(1), 16, error=0.01)
    for quick_one in (None, Quick("rough", Column(2), 16, finer=finer, error=0.5)):
        for sparing in (False, True):
            classifier = Classifier(Column(0), quick=quick_one, sparing=sparing)
            drawn = [replace(one, random=np.random.default_rng([seed, n])) for n, one in enumerate(undecided)]
            together = decide_together(classifier, drawn, 16)
            for number, (one, images, found) in enumerate(zip(drawn, stacks, together, strict=True)):
                draws = np.random.default_rng([seed, number])
                alone = decide(classifier, one.make, one.count, 16, draws, one.lines)
                np.testing.assert_array_equal(found.classes, alone.classes)
                np.testing.assert_array_equal(found.scores, alone.scores)
                assert replace(found, classes=0, scores=0) == replace(alone, classes=0, scores=0)
                if not sparing:
                    np.testing.assert_array_equal(found.classes, (images[:, 0, 0, 0] > 0).long())
    assert decide_together(Classifier(Column(0)), [], 16) == []


def test_fewer_are_compared_where_errors_were_seen():
    random = np.random.default_rng(0)
    scores = torch.from_numpy(random.choice([-9.0, 9.0], 300) + random.normal(0, 0.1, 300)).float()
    rough = scores + torch.from_numpy(random.uniform(-0.1, 0.1, 300)).float()
    images = torch.stack([scores, rough], dim=1)[:, None, None, :]
    asked = {}
    for error in (0.0, 0.05, 3.0):
        classifier = Classifier(Column(0), quick=Quick("rough", Column(1), 16, error=error))
        found = decide(classifier, lambda numbers: images[list(numbers)], 300, 16)
        np.testing.assert_array_equal(found.classes, (scores > 0).long())
        asked[error], bound = found.asked, found.bound
    assert asked == {0.0: COMPARED, 0.05: COMPARED_ANEW, 3.0: 300}
    assert bound == SAFETY * 3.0  # an error that was seen elsewhere counts


def test_errors_are_seen_on_masked_images(trained):
    cases = phantom.cases(4, seed=6, preprocessing=SMALL)
    masked = torch.from_numpy(cases.images())
    with trained.frozen():
        quick_one = Quick("bf16", BACKENDS["folded-bf16"](trained.network, masked[:3]), 3)
        shifted = Quick("shifted", lambda images: trained.network(images) + 0.25, 3, finer=quick_one)
        found = with_errors(shifted, trained.network, masked)
        with torch.inference_mode():
            own = trained.network(masked)
    np.testing.assert_allclose(found.error, 0.25, rtol=1e-4)
    assert 0 < found.finer.error < BF16 * float(own.abs().max())
    broken = with_errors(Quick("overflows", lambda images: own[: len(images)] / 0, 3), trained.network, masked)
    assert broken.error == 0.0


HEADS = {
    "clamped": lambda z: z.clamp(-4, 4),
    "hard tanh": lambda z: nn.functional.hardtanh(z),
    "tanh": lambda z: 4 * torch.tanh(z),
    "cooled and clamped": lambda z: (z / 0.05).clamp(-10, 10),
    "warmed": lambda z: z / 50,
}


@pytest.mark.parametrize("head", HEADS)
def test_bounded_heads_turn_no_decision(head):
    """Most images saturate, and there the quick backend makes no error at all: that says nothing of the others."""
    for seed in range(40):
        random = np.random.default_rng(seed)
        z = torch.from_numpy(np.concatenate([random.normal(0, 40, 240), random.normal(0, 0.3, 16)])).float()
        rough = HEADS[head](z + torch.from_numpy(random.normal(0, 0.2, len(z))).float())
        decided = decide_with(HEADS[head](z), rough, seed=seed)
        np.testing.assert_array_equal(decided.classes, (z > 0).long())


def test_no_error_at_all_is_no_evidence():
    scores = torch.full((200,), 4.0)
    scores[3] = -4.0
    decided = decide_with(scores, torch.full((200,), 4.0))
    np.testing.assert_array_equal(decided.classes, (scores > 0).long())
    assert (decided.asked, decided.audited, decided.quick) == (200, 0, 0)


def test_errors_that_no_bound_foresees_are_audited_and_told():
    told, wrong, rate = 0, 0, 0.1
    for seed in range(60):
        random = np.random.default_rng(seed)
        scores = torch.from_numpy(random.choice([-5.0, 5.0], 400) + random.normal(0, 0.5, 400)).float()
        heavy = torch.from_numpy(np.where(random.random(400) < rate, 30.0, 0.01) * random.normal(0, 1, 400)).float()
        heavy[scores.abs().argsort()[:COMPARED]] = 0.01  # nothing is to be seen where the lead is small
        decided = decide_with(scores, scores + heavy, seed=seed)
        differ = int((decided.classes != (scores > 0).long().numpy()).sum())
        assert not (decided.differed and differ)  # where the audit finds one, the network decides everything
        told, wrong = told + (decided.differed > 0), wrong + (differ > 0)
    assert told > 0
    assert wrong <= 60 - told


class Column(nn.Module):
    """Returns one number of each image."""

    def __init__(self, column):
        super().__init__()
        self.column = column

    def forward(self, images):
        return images[:, 0, 0, self.column]


def test_what_overflows_is_decided_by_the_network_itself():
    images = torch.linspace(-3, 3, 100)[:, None, None, None].expand(100, 1, 1, 2).contiguous()

    def overflowing(batch):
        return torch.full((len(batch),), torch.inf)

    classifier = Classifier(Column(0), quick=Quick("overflowing", overflowing, 10))
    decided = decide(classifier, lambda numbers: images[list(numbers)], 100, 10)
    np.testing.assert_array_equal(decided.classes, (images[:, 0, 0, 0] > 0).long())
    assert decided.asked == 100


def test_a_class_that_overflows_makes_no_other_win():
    class Fixed(nn.Module):
        def forward(self, images):
            return torch.tensor([52.0, 50.0, 3.0]).expand(len(images), 3)

    def overflowing(batch):
        outputs = Fixed()(batch) + 0.001
        outputs[batch[:, 0, 0, 0] < 0.05, 0] = torch.inf
        return outputs

    images = torch.rand(400, 1, 1, 1, generator=torch.Generator().manual_seed(0))
    classifier = Classifier(Fixed(), "logits", quick=Quick("overflowing", overflowing, 10, error=0.004))
    decided = decide(classifier, lambda numbers: images[list(numbers)], 400, 10)
    assert (images < 0.05).sum() > 5
    np.testing.assert_array_equal(decided.classes, 0)
    assert decided.differed == 0


def test_few_images_are_decided_by_the_network_itself():
    def broken(batch):
        raise AssertionError("too few images to be worth it")

    images = torch.zeros(10, 1, 1, 2)
    classifier = Classifier(Column(0), quick=Quick("broken", broken, 10))
    assert decide(classifier, lambda numbers: images[list(numbers)], 10, 4).asked == 10


def test_the_quickest_way_is_chosen_by_trying(monkeypatch):
    network, example = convolutional(), torch.rand(8, 1, 16, 16)
    assert quickest(network, example, images=1) is None  # too little work to try anything
    monkeypatch.setattr(quick, "TRYING_PAYS", 0.0)
    monkeypatch.setattr(quick, "_speed", lambda way, batch: len(tried.append(way) or tried))
    tried = []
    found = quickest(network, example, images=1000)
    assert found.name == list(found.speeds)[-1]
    assert len(tried) == len(found.speeds)
    assert found.failed == {}
    again = quickest(network, example, images=10, like=found)
    assert (again.name, len(tried)) == (found.name, len(found.speeds))


@pytest.fixture(scope="module")
def in_eight_bits(trained):
    """The trained network in eight bits before float32, and masked images, to half of which it was fitted."""
    if not is_here(eight_bits=True):
        pytest.skip("the extra `int8` is not installed")
    cases = phantom.cases(16, seed=6, preprocessing=SMALL)
    plan = StudySettings.model_validate({"name": "small"}).plan
    masked = masked_references(References(cases.images(), cases.labels), plan, trained.intensity)
    example = masked[:16]
    with trained.frozen(), torch.inference_mode():
        finer = Quick("openvino-fp32", BACKENDS["openvino-fp32"](trained.network, example), 16)
        made = openvino_int8(trained.network, example, masked[:32])
    return Classifier(trained.network, quick=Quick(EIGHT_BITS, made, 16, finer=finer)), masked


def test_eight_bits_are_near_and_turn_no_decision(in_eight_bits, trained):
    classifier, masked = in_eight_bits
    with trained.frozen(), torch.inference_mode():
        rough, own = classifier.quick.outputs(masked[-16:]), trained.network(masked[-16:])
    assert 0 < float((rough - own).abs().max()) < 0.3 * float(own.abs().max())
    for image, rankings, fill in fidelity_inputs(phantom.cases(6, seed=5, preprocessing=SMALL)):
        masking = imputer(fill, image, 0)
        plain = masked_decisions(trained, rankings, masking, 20, 16).classes
        np.testing.assert_array_equal(masked_decisions(classifier, rankings, masking, 20, 16).classes, plain)


def test_eight_bits_are_taken_where_both_together_are_done_first(in_eight_bits, trained, monkeypatch):
    classifier, masked = in_eight_bits
    monkeypatch.setattr(quick, "TRYING_PAYS", 0.0)
    monkeypatch.setattr(quick, "QUANTISING_PAYS", 0.0)
    monkeypatch.setattr(quick, "BACKENDS", {"folded-fp32": BACKENDS["folded-fp32"]})
    fast = {"yes": iter((1.0, 2.0, 1000.0)), "no": iter((1.0, 2.0, 1.9))}
    for wanted, speeds in fast.items():
        monkeypatch.setattr(quick, "_speed", lambda way, batch, speeds=speeds: next(speeds))
        monkeypatch.setattr(quick, "openvino_int8", lambda network, example, masked: classifier.quick.run)
        with trained.frozen():
            found = quickest(trained.network, masked[:16], 10**6, masked=lambda: masked)
        expected = "openvino-int8, in doubt folded-fp32" if wanted == "yes" else "folded-fp32"
        assert found.told == expected
        with trained.frozen():
            again = quickest(trained.network, masked[:16], 10**6, found, lambda: masked)
        assert again.told == expected
    monkeypatch.setattr(quick, "_speed", lambda way, batch: 1.0 + ("folded" in str(way)))
    monkeypatch.setattr(quick, "openvino_int8", lambda network, example, masked: 1 / 0)
    with trained.frozen():
        refused = quickest(trained.network, masked[:16], 10**6, masked=lambda: masked)
    assert refused is None or "ZeroDivisionError" in refused.failed[EIGHT_BITS]


def test_masked_references_are_training_images_with_parts_of_them_masked(trained):
    cases = phantom.cases(6, seed=6, preprocessing=SMALL)
    plan = StudySettings.model_validate({"name": "small"}).plan
    references = References(cases.images(), cases.labels)
    masked = masked_references(references, plan, trained.intensity)
    assert masked.shape == (64, 1, 64, 64)
    assert torch.equal(masked, masked_references(references, plan, trained.intensity))
    assert masked_references(None, plan, trained.intensity) is None
    shares = []
    for number, one in enumerate(masked):
        image, label = references.images[number % 6], int(references.labels[number % 6])
        changed = one.numpy() != image
        assert (one.numpy()[changed] == 1.0 - label).all()
        shares.append(changed.mean())
    assert min(shares) < 0.15
    assert max(shares) > 0.6
    volumes = References(np.random.default_rng(0).random((2, 2, 8, 16, 16), np.float32), [0, 1])
    assert masked_references(volumes, plan, trained.intensity).shape == (64, 2, 8, 16, 16)


def test_nothing_is_told_of_what_openvino_is_used_for(tmp_path):
    """Its package of telemetry would write an identity into the home folder, and send events."""
    if not is_here():
        pytest.skip("the extra `openvino` is not installed")
    code = (
        "import sys, torch\nfrom tomolens.classifier.openvino_backends import openvino_fp32\n"
        "openvino_fp32(torch.nn.Conv2d(1, 1, 3).eval(), torch.zeros(1, 1, 8, 8))\n"
        "print([name for name, one in sys.modules.items() if 'openvino_telemetry' in name and one is not None])"
    )
    environment = {**os.environ, "HOME": str(tmp_path), "CI": ""}
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert ran.stdout.strip() == "[]"
    assert not list(tmp_path.iterdir())


def test_ways_that_a_network_does_not_allow_are_told(monkeypatch):
    class Branching(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = convolutional()

        def forward(self, x):
            return self.inner(x) if float(x.sum()) > 0 else -self.inner(x)

    def speed(way, batch):
        way(batch)
        return next(speeds)

    speeds = iter(range(1, 10))
    monkeypatch.setattr(quick, "TRYING_PAYS", 0.0)
    monkeypatch.setattr(quick, "_speed", speed)
    monkeypatch.setitem(quick.BACKENDS, "any", lambda network, example: network)
    found = quickest(Branching().eval(), torch.rand(8, 1, 16, 16), images=10**9)
    assert found.name == "any"  # it works, so that a result is there to tell of the others
    assert {"folded-fp32", "folded-bf16"} <= set(found.failed)
    assert all(found.failed.values())


def test_probabilities_are_left_to_the_network(monkeypatch):
    monkeypatch.setattr(quick, "TRYING_PAYS", 0.0)
    network = nn.Sequential(convolutional(), nn.Sigmoid())
    classifier = Classifier(network, output="probability")
    assert classifier.quickened(torch.rand(4, 1, 16, 16), 1000) is classifier


def test_a_compiled_way_gives_the_same_decisions():
    network = convolutional()
    example = torch.rand(4, 1, 16, 16)
    with torch.inference_mode():
        np.testing.assert_allclose(BACKENDS["compiled-bf16"](network, example)(example), network(example), atol=0.05)


NUMBERS = {"fidelity": "fidelity", "auc": "roc", "dice": "overlap"}


@pytest.mark.slow
def test_precision_hardly_shows_in_a_study(tmp_path, monkeypatch):
    """What is quick moves no number by more than a tenth of the half-width of its interval."""
    monkeypatch.setattr(quick, "TRYING_PAYS", 0.0)
    monkeypatch.setattr(quick, "_speed", lambda way, batch: (next(order), way(batch))[0])
    tables = []
    for precision in ("fp32", "auto"):
        order = iter((1.0, 1.0, 2.0, 1.0, 1.0))  # folded-bf16 wins
        names = ["backpropagation", "smoothgrad-squared"]
        changed = {"precision": precision, "estimators": {"names": names}, "examples": 0}
        changed["cases"] = SMALL_STUDY["cases"] | {"test": 16}
        out = tmp_path / precision
        findings = Study(StudySettings.model_validate({**SMALL_STUDY, **changed})).run(out, workers=1)
        tables.append({name: findings.table(table) for name, table in NUMBERS.items()})
        decided = findings.description.get("networks")[0]["decisions"]
        assert decided == ("plain" if precision == "fp32" else "folded-bf16")
    for name, plain in tables[0].items():
        np.testing.assert_array_equal(plain["estimator"], tables[1][name]["estimator"])
        moved = (plain[name] - tables[1][name][name]).abs()
        assert (moved <= 0.1 * (plain["ci_high"] - plain["ci_low"]) / 2 + 1e-9).all(), name
