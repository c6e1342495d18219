"""The answer in words, made from the findings: what leads, how sure that is, and what to know before believing it."""

import numpy as np
import pandas as pd

from ..estimators.baselines import OF_MASKS
from ..findings import Findings
from ..findings.bootstrap import FEWEST_PATIENTS
from ..findings.choices import OF_ORIGINAL, concordance_over
from ..findings.inference import Compared
from ..findings.tables import undefined_masks
from ..findings.views import TWO_VIEWS, VIEWS, View
from ..metrics.metric import AUDIT
from ..study.plan import NOT_ASSESSED
from .style import map_title, number, title

NOTHING = "–"
"""Where there is no number."""


def headline(findings: Findings) -> list[str]:
    """What leads each view, what beats the blind baselines, and how far the views agree."""
    sentences = [_leader(findings, view) for view in VIEWS.values() if view.name in TWO_VIEWS or _rows(findings, view)]
    sentences += shortcut_sentences(findings) + blind_sentences(findings)
    sentences += choice_sentences(findings)
    taus = [
        f"τ {'undefined, as all are tied,' if np.isnan(value) else f'= {value:+.2f}'} between {pair}"
        for pair, value in findings.agreement.items()
    ]
    w = "undefined" if np.isnan(findings.concordance) else f"{findings.concordance:.2f}"
    if taus:
        sentences.append(
            f"Agreement of the rankings of all maps (Kendall): {', '.join(taus)}; W = {w} "
            "between the model's view and the expert's."
        )
    return sentences


def printed(view: View, value: float) -> str:
    """A number of a view as it is printed in tables and charts; a dash where there is none."""
    return NOTHING if np.isnan(value) else number(view.factor * value, view.digits)


def interval_words(view: View, row: pd.Series, low: str = "ci_low", high: str = "ci_high") -> str:
    """The interval in a row as it is printed; a dash where there are too few patients for one."""
    return NOTHING if np.isnan(row[low]) else f"{printed(view, row[low])} to {printed(view, row[high])}"


def confidence(findings: Findings) -> str:
    """How intervals are called."""
    return f"{100 * findings.settings.statistics.confidence:.0f} % CI"


def values_of(findings: Findings, view: View) -> pd.DataFrame:
    """The values of the estimators' maps in a view, best first."""
    values = findings.view_values
    return values if values.empty else values[values["view"] == view.name].sort_values("value", ascending=False)


def not_above_blind(findings: Findings, view: View) -> set[tuple[str, str]]:
    """The maps that do not beat the best blind baseline in a view."""
    gains = findings.tables["gains"]
    rows = gains if gains.empty else gains[(gains["view"] == view.name) & ~gains["beats"].astype(bool)]
    return set() if rows.empty else set(zip(rows["estimator"], rows["signs"], strict=True))


def _rows(findings: Findings, view: View) -> int:
    return len(values_of(findings, view))


def _leader(findings: Findings, view: View) -> str:
    values = values_of(findings, view)
    judged = f"{view.judge}: {view.title}"
    if values.empty:
        return f"{judged[0].upper()}{judged[1:]} not assessed."
    best = values.iloc[0]
    value, ends = printed(view, best["value"]), interval_words(view, best)
    basis = f"{best['cases']} cases of {best['patients']} patients"
    sure = f"{confidence(findings)} {ends}{_rank_words(findings, view, best)}"
    return (
        f"{map_title(best['estimator'], best['signs'])} leads {view.title} ({view.judge}, {basis}): "
        f"{view.form.format(value)}, {'too few patients for an interval' if ends == NOTHING else sure}."
    )


def _rank_words(findings: Findings, view: View, best: pd.Series) -> str:
    ranks = findings.tables["ranks"]
    if f"{view.name}_rank_low" not in ranks:
        return ""
    row = ranks[(ranks["estimator"] == best["estimator"]) & (ranks["signs"] == best["signs"])].iloc[0]
    low, high = int(row[f"{view.name}_rank_low"]), int(row[f"{view.name}_rank_high"])
    return f", rank {low}" if low == high else f", rank {low} to {high}"


def blind_sentences(findings: Findings) -> list[str]:
    """How many maps beat the best blind baseline in each view."""
    gains = findings.tables["gains"]
    parts = []
    for view in VIEWS.values():
        rows = gains if gains.empty else gains[gains["view"] == view.name]
        if len(rows):
            parts.append(f"by {view.title} {_beating(view, rows, '')}{_without_masks(view, rows)}")
    sentences = [f"Maps that beat the best blind baseline, which never looks at the network: {'; '.join(parts)}."]
    return (sentences if parts else []) + missing_sentences(findings)


def _beating(view: View, rows: pd.DataFrame, end: str) -> str:
    """How many maps beat a baseline, which, and its number."""
    best, beats = rows.iloc[0], rows[f"beats{end}"].astype(bool)
    value = printed(view, best[f"baseline_value{end}"])
    cannot = ", too few patients to tell" if rows[f"p{end}"].isna().all() else ""
    return f"{int(beats.sum())} of {len(rows)} ({title(best[f'baseline{end}']).lower()}, {value}{cannot})"


def _without_masks(view: View, rows: pd.DataFrame) -> str:
    """The same over the best baseline that has seen no mask, where the best of all has."""
    if "baseline_without_masks" not in rows or rows["baseline"].iloc[0] not in OF_MASKS:
        return ""
    return f", without masks {_beating(view, rows, '_without_masks')}"


def missing_sentences(findings: Findings) -> list[str]:
    """Blind baselines that could not be drawn: without the strongest of them, maps beat the others easily."""
    missing: dict[str, str] = findings.description.get("missing_baselines", {})
    return [f"Not drawn, so not beaten: {title(name).lower()} ({reason})." for name, reason in missing.items()]


def audit_sentence(findings: Findings) -> str:
    """How the decisions of fidelity were made, and what the audit of quick ones found."""
    numbers = findings.measured.of_network
    total, asked, audited, differ = (
        sum(int(np.nansum(values)) for metric, values in numbers.items() if metric.split(" | ")[0] == name)
        for name in AUDIT
    )
    if not total:
        return "Decisions on masked images: all by the network itself."
    return (
        f"Decisions on masked images: {total} by a quick way, {asked} of the distinct ones asked of the network itself "
        f"because they were in doubt; of the others audited {audited}, differed {differ}."
    )


def view_sentences(findings: Findings) -> list[str]:
    """Case by case: whether the model's view and the expert's rank the maps alike."""
    sentences = []
    for _, row in findings.tables["views"].iterrows():
        ends = f"({confidence(findings)} {row['ci_low']:+.2f} to {row['ci_high']:+.2f})"
        if np.isnan(row["ci_low"]):
            ends = "(too few patients for an interval)"
        if row["statistic"] == "W":
            sentences.append(f"Within a case, W of all three views is {row['value']:.2f} {ends.replace('+', '')}.")
        if row["view"] != "fidelity":
            continue
        turned = round(row["disagree"] * row["cases"])
        how = f"in {turned} of {row['cases']} cases" if turned else f"in none of {row['cases']} cases"
        most = f"most in case {row['part_most']}" if turned else f"they part most in case {row['part_most']}"
        sentences.append(
            f"Case by case, fidelity and {VIEWS[row['other']].title} rank the maps with τ = {row['value']:+.2f} "
            f"{ends}; {how} they rank them the other way round, {most}."
        )
    return sentences


def choice_sentences(findings: Findings) -> list[str]:
    """How far the leader of the model's view holds when choices change; nothing where none was varied."""
    ranges, choices = findings.tables["rank_ranges"], findings.tables["choices"]
    if ranges.empty:
        return []
    rows = ranges[ranges["view"] == "fidelity"]
    if rows.empty:
        return []
    best = rows.sort_values("rank").iloc[0]
    ranked = choices[(choices["view"] == "fidelity") & (choices["choice"] != OF_ORIGINAL)]
    options = ranked[["choice", "option"]].drop_duplicates()
    ranks = "stays first" if best["highest"] == 1 else f"ranks {best['lowest']:g} to {best['highest']:g}"
    mover = f", moved most by {best['moved_most_by']} ({best['option']})" if best["moved"] else ""
    agreement = concordance_over(choices, "fidelity", "fill")
    fills = "" if np.isnan(agreement) else f" Over the fills of masked pixels, Kendall's W is {agreement:.2f}."
    return [
        f"Choices: among absolute maps {title(best['estimator'])} {ranks} by fidelity over {len(options)} options"
        f"{mover}.{fills}"
    ]


def shortcut_sentences(findings: Findings) -> list[str]:
    """Whether the network relies on a planted marker, and what that says about maps that miss the mask."""
    found = findings.shortcut
    if found is None:
        return []
    low, high = (f"{100 * end:.0f}" for end in found.fall)
    fall = (
        f"balanced accuracy goes from {100 * found.accuracy:.0f} % to {100 * found.without:.0f} % when the marker is "
        f"removed (fall of {low} to {high} points, {confidence(findings)})"
    )
    if not found.relied:
        return [f"A marker was planted in one class, and the network does not rely on it: {fall}."]
    sentences = [f"The network relies on a marker that was planted in one class: {fall}."]
    maps = found.vindicated.sort_values("marker", ascending=False)
    if len(maps):
        best = maps.iloc[0]
        sentences.append(
            f"For {len(maps)} of {len(found.maps)} maps the map is faithful and the mask is not what the model uses: "
            f"they find the marker better than the mask (best: {map_title(best['estimator'], best['signs'])}, AUC "
            f"{best['marker']:.3f} against {best['auc']:.3f}). Their distance from the mask is no fault of the map."
        )
    return sentences


def few_patients(findings: Findings) -> list[str]:
    """The views in which a class has too few patients for intervals and tests."""
    views = [view.title for view, data in _views_compared(findings) if not len(data.resampled.draws)]
    if not views:
        return []
    return [
        f"Too few patients for intervals and tests by {', '.join(views)}: they need {FEWEST_PATIENTS} in each class "
        "whose means are averaged. Numbers without an interval may differ by chance alone."
    ]


def _views_compared(findings: Findings) -> list[tuple[View, Compared]]:
    return [(VIEWS[name], data) for name, data in findings.compared.items()]


def remark_sentences(findings: Findings) -> list[str]:
    """What was not assessed and why, and what must be said beside an estimator's maps."""
    remarks, total = findings.measured.remarks, len(findings.measured.cases)
    if remarks.empty:
        return []
    named = remarks["estimator"].map(title)
    of_metric = remarks["estimator"] == ""
    parts = remarks["note"].str.partition(": ")
    table = pd.DataFrame(
        {
            "what": named.where(~of_metric, parts[0]),
            "why": remarks["note"].where(~of_metric, parts[2]),
            "not_assessed": remarks["kind"] == NOT_ASSESSED,
            "case": remarks["case"],
        }
    )
    sentences = []
    for (what, not_assessed), rows in table.groupby(["what", "not_assessed"], sort=False):
        count = f"{rows['case'].nunique()} of {total} cases"
        begun = f"{what} was not assessed in {count}" if not_assessed else f"{what}, {count}"
        reasons = rows["why"].unique()
        more = f" (and {len(reasons) - 1} other reasons)" if len(reasons) > 1 else ""
        sentences.append(f"{begun}: {reasons[0]}{more}")
    return sentences


def warnings(findings: Findings) -> list[str]:
    """What a reader must know before believing the tables: cases and masks left out, networks that are often wrong."""
    found = []
    skipped: dict[str, str] = findings.description.get("skipped", {})
    if skipped:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in list(skipped.items())[:5])
        total = len(skipped) + findings.description["content"]["cases"]["count"]
        more = f"; and {len(skipped) - 5} more, in study.json" if len(skipped) > 5 else ""
        found.append(f"{len(skipped)} of {total} cases could not be read and were left out ({reasons}{more})")
    notes: dict[str, int] = findings.description.get("notes", {})
    count = findings.description["content"]["cases"]["count"]
    found += [f"in {odd} of {count} cases {note}" for note, odd in notes.items()]
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
    found += few_patients(findings) + remark_sentences(findings)
    for state, names in undefined_masks(findings.measured).items():
        if names:
            shown = ", ".join(names[:20]) + (", …" if len(names) > 20 else "")
            found.append(f"{state.capitalize()} masks, left out of ROC and overlap: {len(names)} ({shown})")
    balanced = findings.description.get("accuracy", {}).get("balanced", 1.0)
    if balanced < 0.9:
        found.append(
            f"The networks are right on {100 * balanced:.0f} % of the held-out cases only. Maps of wrong predictions "
            "explain a mistake, and fidelity starts from this accuracy: read the rankings with that in mind."
        )
    return found
