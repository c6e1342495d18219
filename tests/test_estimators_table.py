"""`docs/estimators.md` is of the estimators there are, and of what they ask."""

import re
import runpy

from tomolens.estimators import ESTIMATORS, make_estimator
from tomolens.estimators.registry import PROTOCOL, SETS


def test_every_estimator_has_a_row_with_its_source_and_what_it_asks(request):
    text = (request.config.rootpath / "docs" / "estimators.md").read_text()
    rows = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| `")]
    assert [row[0].strip("`") for row in rows] == list(ESTIMATORS)
    for name, source, asks, *_, differs in rows:
        assert name == "`random`" or float(differs) < 1e-5
        made = make_estimator(name.strip("`"))
        cost = made.cost((1, 224, 224))
        numbers = [number for number in (cost.gradients + cost.features, cost.scores) if number]
        assert [int(number) for number in re.findall(r"\d+", asks)] == numbers
        assert source == made.source


def test_the_table_says_against_what_each_is_tested(request):
    written = runpy.run_path(str(request.config.rootpath / "benchmarks" / "estimator_table.py"))
    assert set(written["AGAINST"]) == set(ESTIMATORS)
    for name in set(ESTIMATORS) - {"random"}:
        for test in written["tests_of"](name):
            file, function = test.split("::")
            assert f"def {function}(" in (request.config.rootpath / file).read_text()


def test_sets_are_of_estimators_there_are():
    assert SETS["paper"] == PROTOCOL
    assert set(PROTOCOL) < set(SETS["common"]) < set(SETS["all"]) == set(ESTIMATORS)
    assert all(len(set(names)) == len(names) for names in SETS.values())
