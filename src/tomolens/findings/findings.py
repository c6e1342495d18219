"""The answer of a study, recomputed from its stored measurements."""

from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from ..declarations import BLURRED, Judge, Output
from ..errors import SettingsError
from ..results.description import Description
from ..results.store import Store
from .agreement import agreement_by_case, concordance
from .bootstrap import Resampling
from .breakdowns import breakdown_table
from .choices import choices_table, rank_ranges_table
from .controls import CanJudge, controls_table, judged, of_truth
from .inference import (
    Compared,
    CriticalDifference,
    compared,
    critical_difference,
    gains_table,
    pairs_table,
    with_beats,
)
from .measured import BOTH, Measured, read_measured
from .metric_agreement import metrics_table
from .notebook import as_html
from .over_choices import option_gains_table
from .sentence import verdict_of
from .shortcut import Shortcut, shortcut_of
from .strata import patients_table, strata_table
from .tables import (
    MAP,
    agreement,
    by_view,
    chart_table,
    means_table,
    metric_table,
    ranks_table,
    values_table,
    with_gains,
    with_rank_intervals,
)
from .trainings import trainings_table
from .verdict import Verdict


@dataclass(frozen=True, eq=False)
class Findings:
    """Tables and curves of one study.

    Attributes:
        measured: everything that was measured, as the tables need it.
        description: content of ``study.json``.
        folder: of the study.
    """

    measured: Measured
    description: Description
    folder: Path

    @classmethod
    def from_folder(cls, folder: str | Path) -> "Findings":
        """The findings of a study's folder.

        Raises:
            SettingsError: no study there, or a damaged one.
        """
        store = Store(Path(folder))
        description = store.description()
        return cls(read_measured(store.shards.blocks(), description), description, store.folder)

    def _repr_html_(self) -> str:
        return as_html(self)

    @property
    def measurements(self) -> pd.DataFrame:
        """All rows in memory, one for (case, estimator, form, metric), raw curves included; read anew each time."""
        return Store(self.folder).measurements()

    @cached_property
    def explained(self) -> Measured:
        """The measurements of the estimators' maps, without the blind baselines beside them."""
        beside = self.description.baselines
        return self.measured.only([key for key in self.measured.maps if key[0] not in beside and key[1] != BLURRED])

    @property
    def resampling(self) -> Resampling:
        """How patients are resampled."""
        statistics = self.description.settings["statistics"]
        return Resampling(statistics["resamples"], statistics["confidence"], self.description.seed)

    @cached_property
    def views(self) -> dict[str, Output]:
        """The outputs that rank maps, by the names of their views."""
        return {view.judges.name: view for view in self.description.views if view.judges.ranks}

    @property
    def judging_first(self) -> list[Output]:
        """The views, those that were seen to be unable to judge maps last."""
        return sorted(self.views.values(), key=lambda view: self.can_judge.get(view.column) == "no")

    def view_of(self, judge: Judge) -> Output | None:
        """The first output of a judge, or None."""
        return next((output for output in self.description.views if output.judges.judge == judge), None)

    @cached_property
    def means(self) -> dict[str, pd.DataFrame]:
        """Mean of every number of the estimators' maps with its interval, by the name of the output."""
        numbers = [output for metric in self.description.metrics for output in metric.numbers]
        return {output.name: means_table(self.explained, output, self.resampling) for output in numbers}

    @cached_property
    def view_values(self) -> pd.DataFrame:
        """The one number of each estimator's map in each view with its interval."""
        return by_view({name: self.means[view.name] for name, view in self.views.items()})

    @cached_property
    def tables(self) -> dict[str, pd.DataFrame]:
        """All tables by name, empty where nothing was measured: of each metric, of each chart, and the comparisons.

        Raises:
            SettingsError: a metric that is called as a comparison is.
        """
        metrics, explained, resampling = self.description.metrics, self.explained, self.resampling
        views, compared_views = list(self.views.values()), self._compared_views
        own = {metric.name: metric_table(explained, metric, self.means) for metric in metrics}
        choices, gains = choices_table(explained, metrics, self.means, own, resampling), self._gains()
        outputs = self.description.outputs
        tables = {
            **{one.name: with_gains(own[one.name], gains, one.numbers[0].column) for one in metrics if one.numbers},
            **{
                f"{chart.name}_curve": chart_table(explained, chart, outputs, resampling)
                for metric in metrics
                for chart in metric.charts
            },
            **{
                metric.breakdown.name: breakdown_table(explained, metric.breakdown, resampling)
                for metric in metrics
                if metric.breakdown
            },
        }
        numbers = [output for metric in metrics for output in metric.numbers]
        comparisons = {
            "ranks": with_rank_intervals(ranks_table(self.view_values, views), self.compared),
            "baselines": self._baselines(),
            "gains": gains,
            "controls": self.controls,
            "blurred": self._blurred(),
            "pairs": by_view({view: pairs_table(data) for view, data in self.compared.items()}),
            "agreement": agreement_by_case(explained, compared_views, resampling),
            "strata": strata_table(explained, views, resampling),
            "patients": patients_table(explained, views),
            "shortcut": pd.DataFrame() if self.shortcut is None else self.shortcut.maps,
            "choices": choices,
            "rank_ranges": rank_ranges_table(choices),
            "option_gains": self._option_gains(),
            "trainings": trainings_table(explained, numbers, self.architectures, resampling),
            "metrics": metrics_table(numbers, self.means),
        }
        for name in tables.keys() & comparisons.keys():
            raise SettingsError(f"a metric or chart is called '{name}', as a table of comparisons is: rename it")
        return tables | comparisons

    @property
    def _compared_views(self) -> list[Output]:
        return [view for view in self.views.values() if view.judges.compared]

    def _gains(self) -> pd.DataFrame:
        """Gain of each map over the best blind baseline, and beside it over the best that has seen no mask."""
        blind, of_masks = self.description.blind, self.description.of_masks
        whole = judged(self.measured, self.description)
        unmasked = whole.only([key for key in whole.maps if key[0] not in of_masks])
        every, beside = (
            with_beats(
                by_view({view: gains_table(data, blind) for view, data in self._compared(measured, blind).items()}),
                self.confidence,
            )
            for measured in (whole, unmasked)
        )
        if every.empty or unmasked.maps == whole.maps:
            return every
        names = ["baseline", "baseline_value", "gain", "ci_low", "ci_high", "p", "p_holm", "beats"]
        renamed = beside[["view", *MAP, *names]].rename(columns={name: f"{name}_without_masks" for name in names})
        return every.merge(renamed, on=["view", *MAP], how="left")

    def _option_gains(self) -> pd.DataFrame:
        """Gain of each map over the best blind baseline under each option that was varied."""
        return option_gains_table(
            self.measured,
            list(self.views.values()),
            self.description,
            self.can_judge,
            self.resampling,
            self.confidence,
            self.least_turned,
        )

    def _baselines(self) -> pd.DataFrame:
        """Value of each blind baseline in each view: what an estimator reaches without looking at the network.

        One that cannot be drawn has no value, and ``not_drawn`` says why.
        """
        blind = self.description.blind
        keys = [key for key in self.measured.maps if key[0] in blind and key[1] in ("original", BOTH)]
        table = values_table(self.measured.only(keys), list(self.views.values()), self.resampling)
        if table.empty:
            return table
        table = table.drop(columns=["form", "partial"]).rename(columns={"estimator": "baseline"}).assign(not_drawn="")
        missing = [
            {"view": view, "baseline": name, "value": np.nan, "cases": 0, "patients": 0, "not_drawn": reason}
            for name, reason in self.description.get("missing_baselines", {}).items()
            for view in table["view"].unique()
        ]
        return pd.concat([table, pd.DataFrame(missing, columns=table.columns)]) if missing else table

    def _blurred(self) -> pd.DataFrame:
        """Value of each estimator's blurred absolute map in each view: a control."""
        keys = [key for key in self.measured.maps if key[1] == BLURRED]
        return values_table(self.measured.only(keys), list(self.views.values()), self.resampling)

    @cached_property
    def controls(self) -> pd.DataFrame:
        """For each view the truth against the best negative control; see `controls_table`."""
        views = list(self.views.values())
        return controls_table(
            self.measured, views, self.description, self.resampling, self.confidence, self.least_turned
        )

    def controls_of(self, view: Output) -> pd.Series:
        """The row of one view."""
        return self.controls[self.controls["view"] == view.column].iloc[0]

    @cached_property
    def can_judge(self) -> dict[str, CanJudge]:
        """Whether each view can judge maps, by its name."""
        table = self.controls
        return dict(zip(table["view"], table["can_judge"], strict=True)) if len(table) else {}

    @cached_property
    def _of_truth(self) -> tuple[Measured | None, str]:
        return of_truth(self.measured, self.description)

    @property
    def implant(self) -> str:
        """With which implant the views were controlled; empty for none, or where the study's own cases have twins."""
        return self._of_truth[1]

    @cached_property
    def labels_of_truth(self) -> list[int]:
        """The classes of the cases in which the truth is known."""
        found, _ = self._of_truth
        if found is None:
            return []
        truth = [place for place, key in enumerate(found.maps) if key[0] == self.description.truth]
        known = [~np.isnan(numbers[:, truth]).all(axis=1) for numbers in found.numbers.values()]
        return sorted(set(found.cases["label"][np.any(known, axis=0)].tolist()))

    @property
    def architectures(self) -> tuple[str, ...]:
        """Of the networks of other architectures that were trained beside the study's own."""
        return tuple((self.description.settings.get("repeat") or {}).get("architectures", ()))

    @property
    def confidence(self) -> float:
        """Of the tests of gains and controls."""
        chosen = self.description.settings.get("verdict", self.description.settings["statistics"])
        return float(chosen["confidence"])

    @property
    def least_turned(self) -> float:
        """Share of the twins about which the network must decide otherwise."""
        return float(self.description.settings.get("verdict", {}).get("least_turned", 0.0))

    @cached_property
    def verdict(self) -> Verdict:
        """Which map can be believed, by which checks, and why."""
        return verdict_of(self)

    @cached_property
    def shortcut(self) -> Shortcut | None:
        """Whether the network relies on a planted shortcut; None where none was planted."""
        by, model = (self.view_of("shortcut"), self.view_of("expert")), self.view_of("model")
        blind = self.description.blind - self.description.baselines
        in_models_view = None if model is None else self.compared.get(model.column)
        return shortcut_of(self.explained, by, in_models_view, blind, self.resampling)

    @cached_property
    def concordance(self) -> float:
        """Kendall's W of the rankings of all maps by the views of the model and the expert: 1 they agree, 0 they do
        not; NaN with one."""
        ranks = self.tables["ranks"]
        columns = [f"{view.column}_rank" for view in self._compared_views if f"{view.column}_rank" in ranks]
        whole = ranks[columns].dropna().rank()  # among the maps that have all of them
        return concordance(whole.to_numpy().T) if len(columns) > 1 and len(whole) > 1 else float("nan")

    @cached_property
    def compared(self) -> dict[str, Compared]:
        """The maps of the estimators in each view, in the cases that all of them have."""
        return self._compared(self.explained)

    def _compared(self, measured: Measured, opponents: Collection[str] = ()) -> dict[str, Compared]:
        found = {name: compared(measured, view, self.resampling, opponents) for name, view in self.views.items()}
        return {view: data for view, data in found.items() if data is not None and len(data.maps) > 1}

    @cached_property
    def critical_differences(self) -> dict[str, CriticalDifference]:
        """Friedman's test with Nemenyi's critical difference for each view in which it can be made."""
        confidence = self.resampling.confidence
        found = {view: critical_difference(data, confidence) for view, data in self.compared.items()}
        return {view: one for view, one in found.items() if one is not None}

    def table(self, name: str) -> pd.DataFrame:
        """One table with confidence intervals, a fresh copy.

        Raises:
            SettingsError: an unknown table.
        """
        if name not in self.tables:
            raise SettingsError(f"no table '{name}', there are {', '.join(self.tables)}")
        return self.tables[name].copy()

    @cached_property
    def agreement(self) -> dict[str, float]:
        """Kendall's tau-b between the rankings by each two views, named by their titles."""
        return agreement(self.tables["ranks"], list(self.views.values()))
