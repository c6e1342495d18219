"""What to know before believing the tables: what was left out or not assessed, and why."""

from collections.abc import Sequence
from itertools import starmap

from ..findings import Findings
from ..findings.bootstrap import FEWEST_PATIENTS
from ..findings.printing import map_title, printed, title
from ..findings.sentence import left_out
from ..findings.tables import undefined_masks
from ..results.rows import NOT_ASSESSED
from .classes import several_classes, step_sentences


def few_patients(findings: Findings) -> list[str]:
    """The views in which a class has too few patients for intervals and tests."""
    few = [name for name, data in findings.compared.items() if not len(data.resampled.draws)]
    if not few:
        return []
    return [
        f"Too few patients for intervals and tests by {', '.join(findings.views[name].judges.title for name in few)}: "
        f"they need {FEWEST_PATIENTS} in each class whose means are averaged. Numbers without an interval may differ "
        "by chance alone."
    ]


def partial_sentences(findings: Findings) -> list[str]:
    """The maps that have a number in some of the cases only."""
    values = findings.view_values
    sentences = []
    for (view, cases), rows in values[values["partial"]].groupby(["view", "cases"], sort=False) if len(values) else ():
        keys = rows[["estimator", "form"]].to_numpy().tolist()
        names = ", ".join(starmap(lambda name, form: map_title(findings, name, form), keys))
        sentences.append(
            f"By {findings.views[str(view)].judges.title} {names} {'have' if len(rows) > 1 else 'has'} numbers in "
            f"{cases} of {len(findings.measured.cases)} cases only, no rank, and no part in comparisons"
        )
    return sentences


def left_out_sentences(findings: Findings) -> list[str]:
    """The blind maps that maps do not have to beat, as they have a number in few of the cases."""
    table, total = findings.tables["baselines"], len(findings.measured.cases)
    sentences = []
    for view in findings.views.values():
        for name in left_out(findings, view):
            row = table[(table["view"] == view.column) & (table["baseline"] == name)].iloc[0]
            sentences.append(
                f"By {view.judges.title} the blind map {title(findings, name)} has numbers in {row['cases']} of "
                f"{total} cases only ({printed(view, row['value'])}), or none in a class: it is not among those that "
                "maps must beat"
            )
    return sentences


def remark_sentences(findings: Findings) -> list[str]:
    """What was not assessed and why, and what must be said beside an estimator's maps, also under other options."""
    remarks, total = findings.measured.remarks, len(findings.measured.cases)
    if remarks.empty:
        return []
    of_metric, parts = remarks["estimator"] == "", remarks["note"].str.partition(": ")
    table = remarks.assign(
        what=remarks["estimator"].map(lambda name: title(findings, name)).where(~of_metric, parts[0]),
        why=remarks["note"].where(~of_metric, parts[2]),
    )
    sentences: dict[str, list[str]] = {}
    for (what, kind, choice, option), rows in table.groupby(["what", "kind", "choice", "option"], sort=False):
        count = f"{rows['case'].nunique()} of {total} cases{f' under {choice} = {option}' if choice else ''}"
        begun = f" not assessed in {count}" if kind == NOT_ASSESSED else f", {count}"
        others = len(rows["why"].unique()) - 1
        more = f" (and {others} other reason{'s' if others > 1 else ''})" if others else ""
        sentences.setdefault(f"{begun}: {rows['why'].iloc[0]}{more}", []).append(str(what))
    return [_of_all(names, words) for words, names in sentences.items()]


def _of_all(names: Sequence[str], words: str) -> str:
    """What is the same of several, said once."""
    verb = (" were" if len(names) > 1 else " was") if words.startswith(" not") else ""
    return f"{', '.join(names)}{verb}{words}"


def warnings(findings: Findings) -> list[str]:
    """What a reader must know before believing the tables: cases and masks left out, networks that are often wrong."""
    found, count = [], findings.description.count
    if findings.description.settings["cases"].get("source") == "phantom":
        found.append("the cases are simulated: the expert's masks are those of the simulation, and no reader drew them")
    skipped: dict[str, str] = findings.description.get("skipped", {})
    if skipped:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in list(skipped.items())[:5])
        more = f"; and {len(skipped) - 5} more, in study.json" if len(skipped) > 5 else ""
        total = len(skipped) + count
        found.append(f"{len(skipped)} of {total} cases could not be read and were left out ({reasons}{more})")
    missing: dict[str, str] = findings.description.get("missing_estimators", {})
    found += [f"{title(findings, name)} was left out: {reason}" for name, reason in missing.items()]
    notes: dict[str, int] = findings.description.get("notes", {})
    found += [f"in {odd} of {count} cases {note}" for note, odd in notes.items()]
    found += findings.description.get("network_notes", [])
    failed = findings.measured.failed
    if len(failed):
        reasons = "; ".join(f"{row.case}: {row.note}" for row in failed.head(5).itertuples())
        more = f"; and {len(failed) - 5} more" if len(failed) > 5 else ""
        found.append(
            f"{len(failed)} of {len(failed) + len(findings.measured.cases)} cases failed and are not in the tables "
            f"({reasons}{more}); the same command tries them again"
        )
    remarked = findings.measured.cases[findings.measured.cases["note"] != ""]
    if len(remarked):
        found.append(f"{len(remarked)} cases went another way: {remarked['note'].iloc[0]}")
    found += few_patients(findings) + partial_sentences(findings) + left_out_sentences(findings)
    found += remark_sentences(findings)
    found += step_sentences(findings)
    for state, names in undefined_masks(findings.measured).items():
        if names:
            shown = ", ".join(names[:20]) + (", …" if len(names) > 20 else "")
            found.append(f"{state.capitalize()} masks, left out of the expert's view: {len(names)} ({shown})")
    present = set(findings.measured.cases["label"])
    found += [
        f"no held-out case is of class {name}"
        for label, name in enumerate(findings.description.classes)
        if label not in present
    ]
    balanced = findings.description.get("accuracy", {}).get("balanced", 1.0)
    if balanced < 0.9:
        what = "The mean of the classes' accuracies" if several_classes(findings) else "The accuracy"
        found.append(
            f"{what} on the held-out cases is {100 * balanced:.0f} % only. Maps of wrong "
            "predictions explain a mistake, and masking starts from this accuracy: read the rankings with that in mind."
        )
    return found
