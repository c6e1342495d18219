"""The answer in words, made from the findings: what leads, how sure that is, and what to know before believing it."""

import numpy as np
import pandas as pd

from ..declarations import AUDIT, Output, audited_as
from ..findings import Findings
from ..findings.choices import OF_ORIGINAL, concordance_over
from ..findings.printing import (
    NOTHING,
    confidence,
    gains_of,
    in_sentence,
    interval_words,
    judged,
    map_title,
    printed,
    title,
    values_of,
)
from ..findings.sentence import basis, listed
from .classes import class_sentence
from .trust import against_words


def headline(findings: Findings) -> list[str]:
    """What leads each view, what beats the blind baselines, and how far the views agree."""
    views = [view for view in findings.judging_first if view.judges.compared or len(values_of(findings, view))]
    sentences = [_leader(findings, view) for view in views]
    sentences += filter(None, (class_sentence(findings, view) for view in views))
    sentences += shortcut_sentences(findings) + blind_sentences(findings) + choice_sentences(findings)
    sentences += training_sentences(findings)
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


def _leader(findings: Findings, view: Output) -> str:
    values, name = values_of(findings, view), f"{judged(view)}: {view.judges.title}"
    if values.empty:
        return f"{name[0].upper()}{name[1:]} not assessed."
    best = values.iloc[0]
    if best["partial"]:
        return f"{name[0].upper()}{name[1:]}: no two maps have the same cases, so none is compared."
    value, ends = printed(view, best["value"]), interval_words(view, best)
    rests = basis(int(best["cases"]), int(best["patients"]))
    few = ", too few patients for an interval" if ends == NOTHING else ""
    against = against_words(findings, view)
    beside = f"; {against}" if against else ""
    alike = values["value"][~values["partial"]]
    if len(alike) > 1 and len({printed(view, one) for one in alike}) == 1:
        return (
            f"All {len(alike)} maps are tied by {view.judges.title} ({judged(view)}, {rests}): "
            f"{view.judges.sentence.format(value)}{few}{beside}."
        )
    sure = few or f", {confidence(findings)} {ends}{_rank_words(findings, view, best)}"
    return (
        f"{map_title(findings, best['estimator'], best['form'])} leads {view.judges.title} ({judged(view)}, {rests}): "
        f"{view.judges.sentence.format(value)}{sure}{beside}."
    )


def _rank_words(findings: Findings, view: Output, best: pd.Series) -> str:
    ranks, name = findings.tables["ranks"], f"{view.column}_rank"
    if f"{name}_low" not in ranks:
        return ""
    row = ranks[(ranks["estimator"] == best["estimator"]) & (ranks["form"] == best["form"])].iloc[0]
    low, high = int(row[f"{name}_low"]), int(row[f"{name}_high"])
    others = int((ranks[f"{name}_low"] == 1).sum()) - 1
    rest = "another" if others == 1 else f"one of {others} others"
    cannot = f"; whether it or {rest} is best cannot be told" if high > 1 and others else ""
    return f", rank {low}{cannot}" if low == high else f", rank {low} to {high}{cannot}"


def blind_sentences(findings: Findings) -> list[str]:
    """How many maps beat the best blind baseline in each view; and which could not be drawn, so that maps beat the
    others easily."""
    of_masks = findings.description.of_masks
    parts = []
    for view in findings.views.values():
        rows = gains_of(findings, view)
        if len(rows):
            beside = "baseline_without_masks" in rows and rows["baseline"].iloc[0] in of_masks
            without = f", without masks {_beating(findings, view, rows, '_without_masks')}" if beside else ""
            parts.append(f"by {view.judges.title} {_beating(findings, view, rows, '')}{without}")
    sentences = [f"Maps that beat the best blind baseline, which never looks at the network: {'; '.join(parts)}."]
    missing: dict[str, str] = findings.description.get("missing_baselines", {})
    return (sentences if parts else []) + [
        f"Not drawn, so not beaten: {in_sentence(title(findings, name))} ({reason})."
        for name, reason in missing.items()
    ]


def _beating(findings: Findings, view: Output, rows: pd.DataFrame, end: str) -> str:
    """How many maps beat a baseline, which, and its number."""
    best, beats = rows.iloc[0], rows[f"beats{end}"].astype(bool)
    name, value = in_sentence(title(findings, best[f"baseline{end}"])), printed(view, best[f"baseline_value{end}"])
    cannot = ", too few patients to tell" if rows[f"p{end}"].isna().all() else ""
    return f"{int(beats.sum())} of {len(rows)} ({name}, {value}, n = {int(best['cases'])}{cannot})"


def audit_sentence(findings: Findings) -> str:
    """How decisions on masked images were made, and what the audit of them found; empty where none is asked."""
    numbers = dict.fromkeys(AUDIT.values(), 0)
    for name, values in findings.measured.of_network.items():
        if of_decided := audited_as(str(name)):
            numbers[of_decided] += int(np.nansum(values))
    if not any(output.masked for output in findings.description.outputs.values()):
        return ""
    if not numbers["images"]:
        return "Decisions on masked images: all by the network itself."
    by_quick, filled = numbers["quick"], numbers["filled"]
    why = ", to compare with a quick backend or because that was in doubt" if by_quick else ""
    others = [f"{by_quick} by the quick backend"] if by_quick else []
    others += [f"{filled} filled in between two of a curve that were decided alike"] if filled else []
    again = numbers["images"] - numbers["asked"] - by_quick - filled  # `Decided` counts them in neither
    others += [f"{again} by one of these at first and then by the network itself, as an audit"] if again > 0 else []
    made = listed([f"{numbers['asked']} by the network itself{why}", *others])
    audits = (
        ("of the quick backend", "audited", "differed"),
        ("that had been filled in", "filled_audited", "filled_differed"),
    )
    found = "".join(
        f" {_audited(whose, numbers[audited], numbers[differed])}"
        for whose, audited, differed in audits
        if numbers[audited]
    )
    return f"Decisions on {numbers['images']} distinct masked images: {made}.{found}"


def _audited(whose: str, audited: int, differed: int) -> str:
    sentence = f"Of {audited} audited decisions {whose} {differed} differed"
    if differed:
        return f"{sentence}: of such a case the network decided all of them."
    # The rule of three: with none among n, the rate is below 3 / n with 95 % confidence.
    return f"{sentence}: the rate of differing ones is below {300 / audited:.2g} % (95 %)."


def agreement_sentences(findings: Findings) -> list[str]:
    """Case by case: whether the model's view and the expert's rank the maps alike."""
    sentences, model = [], findings.view_of("model")
    for _, row in findings.tables["agreement"].iterrows():
        ends = f"({confidence(findings)} {row['ci_low']:+.2f} to {row['ci_high']:+.2f})"
        if np.isnan(row["ci_low"]):
            ends = "(too few patients for an interval)"
        if row["statistic"] == "W":
            ends = ends.replace("+", "")
            sentences.append(f"Within a case, W of all the views of model and expert is {row['value']:.2f} {ends}.")
        if model is None or row["view"] != model.column:
            continue
        turned = round(row["disagree"] * row["cases"])
        how = f"in {turned} of {row['cases']} cases" if turned else f"in none of {row['cases']} cases"
        most = f"most in case {row['part_most']}" if turned else f"they part most in case {row['part_most']}"
        sentences.append(
            f"Case by case, {model.judges.title} and {findings.views[row['other']].judges.title} rank the maps with "
            f"τ = {row['value']:+.2f} {ends}; {how} they rank them the other way round, {most}."
        )
    return sentences


def choice_sentences(findings: Findings) -> list[str]:
    """How far the leader of the model's view holds when choices change; nothing where none was varied."""
    ranges, choices, model = findings.tables["rank_ranges"], findings.tables["choices"], findings.view_of("model")
    rows = ranges if ranges.empty or model is None else ranges[ranges["view"] == model.column]
    if rows.empty or model is None:
        return []
    best = rows.sort_values("rank").iloc[0]
    ranked = choices[(choices["view"] == model.column) & (choices["choice"] != OF_ORIGINAL)]
    options = ranked[["choice", "option"]].drop_duplicates()
    ranks = "stays first" if best["highest"] == 1 else f"ranks {best['lowest']:g} to {best['highest']:g}"
    mover = f", moved most by {best['moved_most_by']} ({best['option']})" if best["moved"] else ""
    return [
        f"Choices: among absolute maps {title(findings, best['estimator'])} {ranks} by {model.judges.title} over "
        f"{len(options)} options{mover}.{concordance_words(findings, model)}"
    ]


def training_sentences(findings: Findings) -> list[str]:
    """How much another training of the network would change the numbers of each view; nothing where none was made."""
    table = findings.tables["trainings"]
    sentences = []
    for view in findings.views.values() if len(table) else ():
        rows = table[(table["output"] == view.column) & table["between_networks"].notna()]
        if rows.empty:
            continue
        networks, patients = (float(rows[f"between_{what}"].median()) for what in ("networks", "patients"))
        others = "" if np.isnan(patients) else f", other patients by {printed(view, patients)} (standard error)"
        sentences.append(
            f"Another training of the network would change {view.judges.title} by {printed(view, networks)} (standard "
            f"deviation, median of {len(rows)} maps){others}."
        )
    return sentences


def concordance_words(findings: Findings, view: Output) -> str:
    """How alike the options of each choice rank the maps in a view."""
    found = concordance_over(findings.tables["choices"], view.column)
    return "".join(
        f" Over the options of {choice}, Kendall's W of the ranks by {view.judges.title} is {w:.2f}."
        for choice, w in found.items()
        if not np.isnan(w)
    )


def shortcut_sentences(findings: Findings) -> list[str]:
    """Whether the network relies on a planted shortcut, and what that says about maps that miss the mask."""
    found = findings.shortcut
    if found is None:
        return []
    low, high = (f"{100 * end:.0f}" for end in found.fall)
    fall = (
        f"balanced accuracy goes from {100 * found.accuracy:.0f} % to {100 * found.without:.0f} % when it is "
        f"taken away (fall of {low} to {high} points, {confidence(findings)})"
    )
    if not found.relied:
        return [f"A shortcut was planted in one class, and the network does not rely on it: {fall}."]
    sentences = [f"The network relies on a shortcut that was planted in one class: {fall}."]
    planted, expert = found.by
    maps = found.vindicated.sort_values(planted.column, ascending=planted.sign < 0)
    if len(maps):
        best = maps.iloc[0]
        name, value = map_title(findings, best["estimator"], best["form"]), printed(planted, best[planted.column])
        sentences.append(
            f"For {len(maps)} of {len(found.maps)} maps the map is faithful and the mask is not what the model uses: "
            f"they find the shortcut better than the mask (best: {name}, {planted.judges.title} {value}, "
            f"{expert.judges.title} {printed(expert, best[expert.column])}). Their distance from the mask is no fault "
            "of the map."
        )
    return sentences
