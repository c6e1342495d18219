"""Choices that matter: what is varied is what it says, costs what is planned, and shares the study's own numbers."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
import torch
from typer.testing import CliRunner

from conftest import convolutional
from tomolens.api import Study
from tomolens.cases import phantom
from tomolens.cases.preprocessing import Preprocessing
from tomolens.classifier import Classifier
from tomolens.cli import app
from tomolens.errors import SettingsError
from tomolens.estimators import Cost, explain
from tomolens.findings import Findings
from tomolens.findings.choices import OF_ORIGINAL, OWN, concordance_over
from tomolens.metrics import fidelity, roc
from tomolens.report.answer import headline
from tomolens.study.settings import StudySettings, read_settings

SETTINGS = StudySettings.model_validate(
    {
        "name": "vary",
        "examples": 0,
        "gallery": 1,
        "precision": "fp32",
        "batch_size": 16,
        "cases": {"size": 32},
        "estimators": {
            "names": ["backpropagation", "integrated-gradients", "smoothgrad", "random"],
            "parameters": {"integrated-gradients": {"steps": 4}, "smoothgrad": {"samples": 3}},
            "baselines": ["centre-prior"],
        },
        "metrics": {"steps": 5},
        "statistics": {"resamples": 200},
        "vary": {"noise": [0.4], "steps": [2], "fills": ["mean", "road", "40 HU"]},
    }
)


@pytest.fixture(scope="module")
def cases():
    return phantom.cases(4, seed=1, preprocessing=Preprocessing(32))


@pytest.fixture(scope="module")
def classifier(cases):
    """A network that is unsure of every case, so that masking turns decisions."""
    network = convolutional()
    with torch.no_grad():
        network[-1].bias -= network.eval()(torch.from_numpy(cases.images())).median()
    return Classifier(network)


@pytest.fixture(scope="module")
def findings(cases, classifier, tmp_path_factory):
    folder = tmp_path_factory.mktemp("vary") / "r"
    return Study(SETTINGS, cases=cases, classifier=classifier).run(folder, workers=1)


def number(findings, metric, choice, option, estimator, form="absolute"):
    which = findings.measured.maps.index((estimator, form))
    return findings.measured.varied[choice, option][metric][:, which]


def options_of(findings, view):
    table = findings.table("choices")
    return set(map(tuple, table[table["view"] == view][["choice", "option"]].to_numpy().tolist()))


def test_every_option_is_ranked_in_the_views_that_it_concerns(findings):
    of_maps = {("score", "probability"), ("direction", "paper"), ("noise", "sigma 0.4"), ("steps", "2")}
    own = {(OWN, OWN), ("maps", "original")}
    assert options_of(findings, "fidelity") == own | of_maps | {("fill", name) for name in ("mean", "road", "40 HU")}
    assert options_of(findings, "dice") == own | of_maps | {("regions", "coarse"), ("regions", "not dilated")}
    assert {choice for choice, _ in options_of(findings, "auc")} == {c for c, _ in own | of_maps} | {"ROC"}


def test_a_varied_number_is_that_of_a_study_with_this_option(findings, cases, classifier, tmp_path):
    images = torch.from_numpy(cases.images())
    targets = classifier.predict(images)

    def explained(name, **parameters):
        (made,) = [one for one in SETTINGS.estimators.make() if one.name == name]
        changed = dataclasses.replace(made, **parameters)
        return explain(classifier, images, [changed], targets, names=cases.names, batch_size=16)[name].abs()

    masks = np.stack([case.mask for case in cases])
    noisy = roc(explained("smoothgrad", sigma=0.4), masks, names=cases.names).auc
    np.testing.assert_allclose(number(findings, "auc", "noise", "sigma 0.4", "smoothgrad"), noisy)
    coarse = roc(explained("integrated-gradients", steps=2), masks, names=cases.names).auc
    np.testing.assert_allclose(number(findings, "auc", "steps", "2", "integrated-gradients"), coarse)
    own = explained("backpropagation")
    for fill, value in (("mean", "mean"), ("road", "road"), ("40 HU", 0.5)):
        each = [
            fidelity(
                classifier, images[i : i + 1], cases.labels[i : i + 1], own[i : i + 1], fill=value, steps=5,
                names=[cases.names[i]], batch_size=16,
            ).area
            for i in range(len(cases))
        ]  # fmt: skip
        np.testing.assert_allclose(number(findings, "fidelity", "fill", fill, "backpropagation"), each)


def test_what_an_option_does_not_change_is_not_measured_again(findings):
    noisy = findings.measured.varied["noise", "sigma 0.4"]
    assert set(noisy) >= {"fidelity", "auc", "dice_own_share"}
    for metric in noisy:
        assert np.isnan(number(findings, metric, "noise", "sigma 0.4", "backpropagation")).all()
        assert not np.isnan(number(findings, metric, "noise", "sigma 0.4", "smoothgrad")).all()
    rows = findings.measurements
    curves = rows[(rows["choice"] == "fill") & (rows["option"] == "road") & rows["curve"].notna()]
    assert set(curves["metric"]) == {"most_important_first", "least_important_first"}


def test_the_study_itself_is_the_same_without_variations(findings, cases, classifier, tmp_path):
    plain = SETTINGS.model_copy(update={"vary": None})
    alone = Study(plain, cases=cases, classifier=classifier).run(tmp_path / "r", workers=1)
    for name in ("fidelity", "roc", "overlap", "ranks", "gains", "pairs"):
        pd.testing.assert_frame_equal(alone.table(name), findings.table(name), check_exact=True)
    assert alone.table("rank_ranges").empty


def test_rank_ranges_hold_the_studys_rank_and_name_what_moves_it(findings):
    ranges, choices = findings.table("rank_ranges"), findings.table("choices")
    assert (ranges["lowest"] <= ranges["rank"]).all()
    assert (ranges["rank"] <= ranges["highest"]).all()
    for row in ranges[ranges["moved"] > 0].itertuples():
        there = choices[(choices["view"] == row.view) & (choices["estimator"] == row.estimator)]
        (moved,) = there["rank"][(there["choice"] == row.moved_most_by) & (there["option"] == row.option)]
        if row.moved_most_by != OF_ORIGINAL:  # its ranks are among the maps as they are
            assert abs(moved - row.rank) == row.moved
    assert 0 <= concordance_over(choices, "fidelity")["fill"] <= 1
    assert any(sentence.startswith("Choices: among absolute maps") for sentence in headline(findings))
    assert "Choices that matter" in (findings.folder / "report.html").read_text()
    assert (findings.folder / "figures" / "choices.png").exists()


def test_the_plan_counts_what_is_varied():
    plan, plain = SETTINGS.plan, SETTINGS.model_copy(update={"vary": None}).plan
    shape = (1, 32, 32)
    assert plain.cost(shape) == Cost(gradients=1 + 4 + 3, scores=2)
    assert plan.cost(shape) == Cost(gradients=8 + (1 + 4 + 3) + (1 + 3) + 3 + (2 + 2), scores=2 + 2 + 2)
    assert plain.images(twins=False) == (2 * 4 + 3 + 1) * 2 * 4
    assert plan.images(twins=False) == plain.images(twins=False) + (3 + 2 + 1 + 2 + 3 * 5) * 2 * 4
    assert plain.images() == 2 * (2 * 4 + 3 + 2) * 2 * 4, "the truth, and every map once more by the twin"


def test_hounsfield_units_are_those_of_the_window_and_nonsense_is_named(tmp_path):
    assert SETTINGS.plan.variations.fills == {"mean": "mean", "road": "road", "40 HU": "40 HU"}
    file = tmp_path / "study.toml"
    file.write_text('name = "x"\n[cases]\nsource = "phantom"\n[vary]\nfills = ["40 hu"]\n')
    with pytest.raises(SettingsError, match="vary.fills: .*fill '40 hu', expected .*Hounsfield units as '40 HU'"):
        read_settings(file)


def test_the_command_plans_it(tmp_path):
    file = tmp_path / "study.toml"
    file.write_text('name = "x"\n[cases]\nsource = "phantom"\ntrain = 4\ntest = 2\nsize = 32\n')
    lines = {
        vary: CliRunner().invoke(app, ["study", str(file), "--dry-run", *vary]).output for vary in ((), ("--vary",))
    }
    assert "92 forward and backward" in lines[()]
    assert "92 forward and backward" not in lines["--vary",]


def test_a_blind_map_of_the_fill_is_that_of_the_option(cases, classifier, tmp_path):
    """The difference from the fill is another map under another fill, as it is in a study with that fill."""
    given = SETTINGS.model_dump(mode="json") | {"vary": None}
    given["estimators"] |= {"names": ["backpropagation"], "parameters": {}, "baselines": ["difference-from-fill"]}
    vary = {"score": False, "direction": False, "noise": [], "steps": [], "regions": {}, "fills": ["40 HU", "mean"]}
    Study(StudySettings.model_validate(given | {"vary": vary}), cases=cases, classifier=classifier).run(tmp_path / "v")
    varied = Findings.from_folder(tmp_path / "v").measurements
    blind = varied[(varied["estimator"] == "difference-from-fill") & (varied["metric"] == "fidelity")]
    for fill in vary["fills"]:
        own = StudySettings.model_validate(given | {"metrics": given["metrics"] | {"fill": fill}})
        rows = Study(own, cases=cases, classifier=classifier).run(tmp_path / fill).measurements
        rows = rows[(rows["estimator"] == "difference-from-fill") & (rows["metric"] == "fidelity")]
        assert blind[blind["option"] == fill]["value"].tolist() == rows["value"].tolist()
    assert len({tuple(one["value"]) for _, one in blind.groupby("option")}) > 1
