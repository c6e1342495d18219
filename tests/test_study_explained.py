"""Which class is explained: the predicted one, the true one, one that is named, each beside."""

import pytest
import torch

import tomolens as tl
from test_study_kinds import NAMES, study_of
from tomolens.errors import SettingsError
from tomolens.metrics import roc
from tomolens.report.methods import paragraphs
from tomolens.results.store import Store

NAMED = ["backpropagation", "random"]


def run(tmp_path, explained, **more):
    study = study_of(classes=3, estimators={"names": NAMED, "explained": explained, "blur": 0, "baselines": []}, **more)
    findings = study.run(tmp_path / explained, workers=1)
    rows = Store(tmp_path / explained).shards
    table = next(iter(rows.blocks())).to_pandas()
    return study, findings, table


def auc_of(study, targets, index):
    """AUC of the absolute gradient of some class, made and measured apart from any study."""
    case = study.cases[index]
    image = torch.from_numpy(case.image)[None]
    importance = tl.explain(study.classifier, image, "backpropagation", targets=[targets])["backpropagation"]
    return roc(importance.abs(), [case.mask], names=[case.name]).auc[0]


def measured(table, choice="", option=""):
    chosen = table[
        (table["metric"] == "auc")
        & (table["estimator"] == "backpropagation")
        & (table["form"] == "absolute")
        & (table["choice"] == choice)
        & (table["option"] == option)
    ]
    return dict(zip(chosen["index"], chosen["value"], strict=True))


@pytest.mark.parametrize("explained", ["predicted", "true", "left"])
def test_maps_are_of_the_class_that_is_chosen(tmp_path, explained):
    study, _, table = run(tmp_path, explained)
    found = measured(table)
    predicted = table.drop_duplicates("index").set_index("index")["predicted"]
    labels = study.cases.labels
    assert (predicted.to_numpy() != labels[predicted.index]).any()  # predicted and true are not the same here
    assert len(found) == 18
    for index, value in found.items():
        target = {"predicted": predicted[index], "true": labels[index], "left": NAMES.index("left")}[explained]
        assert value == pytest.approx(auc_of(study, int(target), index), abs=1e-6)


def test_each_class_is_a_choice_beside_the_predicted_one(tmp_path):
    study, findings, table = run(tmp_path, "each")
    _, _, alone = run(tmp_path, "predicted")
    assert measured(table) == measured(alone)
    for target, name in enumerate(NAMES):
        found = measured(table, "class", name)
        assert len(found) == 18
        for index in list(found)[:4]:
            assert found[index] == pytest.approx(auc_of(study, target, index), abs=1e-6)
    choices = findings.table("choices")
    assert set(choices["option"][choices["choice"] == "class"]) == set(NAMES)


def test_fidelity_asks_about_the_class_that_is_explained(tmp_path):
    study, findings, table = run(tmp_path, "left")
    curves = table[(table["estimator"] == "random") & table["metric"].str.endswith("_important_first")]
    cases = table.drop_duplicates("index").set_index("index")
    left, labels = NAMES.index("left"), study.cases.labels
    assert len(curves) == 4 * 18  # as it is and absolute, both orders
    for index, curve in zip(curves["index"], curves["curve"], strict=True):
        # Nothing is masked yet: right where the class is predicted and true, or neither.
        assert curve[0] == ((cases["predicted"][index] == left) == (labels[index] == left))
    assert "for the class “left”" in paragraphs(findings)[1]


def test_a_class_that_is_none():
    with pytest.raises(
        SettingsError, match="estimators.explained 'middle', expected one of predicted, true, each, none"
    ):
        study_of(classes=3, estimators={"explained": "middle"})
