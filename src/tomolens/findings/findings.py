"""`Findings`: the answer of a study, recomputed from its stored measurements."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ..errors import SettingsError
from ..estimators.baselines import BASELINES, OF_MASKS
from ..study.settings import StudySettings
from ..study.store import Store
from .agreement import agreement_by_case, concordance
from .bootstrap import Resampling
from .choices import choices_table, rank_ranges_table
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
from .shortcut import Shortcut, shortcut_of
from .strata import patients_table, strata_table
from .tables import (
    agreement,
    by_view,
    evidence_table,
    fidelity_table,
    overlap_table,
    ranks_table,
    roc_table,
    values_table,
    with_gains,
    with_rank_intervals,
)
from .views import TWO_VIEWS, VIEWS

TABLES = (
    "fidelity",
    "roc",
    "overlap",
    "evidence",
    "ranks",
    "baselines",
    "gains",
    "pairs",
    "views",
    "strata",
    "patients",
    "shortcut",
    "choices",
    "rank_ranges",
)
BLIND = frozenset({"random", *BASELINES})
"""What never looks at the network."""


@dataclass(frozen=True, eq=False)
class Findings:
    """Tables and curves of one study.

    Attributes:
        measured: everything that was measured, as the tables need it.
        description: content of ``study.json``.
        settings: of the study.
        folder: of the study.
    """

    measured: Measured
    description: Mapping[str, Any]
    settings: StudySettings
    folder: Path

    @classmethod
    def from_folder(cls, folder: str | Path) -> "Findings":
        """The findings of a study's folder.

        Raises:
            SettingsError: no study there, or a damaged one.
        """
        store = Store(Path(folder))
        settings = cls.settings_of(store)
        return cls(read_measured(store.shards.blocks()), store.description(), settings, store.folder)

    @staticmethod
    def settings_of(store: Store) -> StudySettings:
        """The settings of a stored study.

        Raises:
            SettingsError: no study there, or one of another version.
        """
        description = store.description()
        try:
            return StudySettings.model_validate(description["content"]["settings"])
        except (KeyError, TypeError, ValueError) as error:
            raise SettingsError(f"{store.description_file}: not a study of this version ({error})") from error

    @property
    def measurements(self) -> pd.DataFrame:
        """All rows in memory, one for (case, estimator, signs, metric), raw curves included; read anew each time."""
        return Store(self.folder).measurements()

    @cached_property
    def explained(self) -> Measured:
        """The measurements of the estimators' maps, without the blind baselines beside them."""
        return self.measured.only([key for key in self.measured.maps if key[0] not in BASELINES])

    @property
    def resampling(self) -> Resampling:
        """How patients are resampled."""
        statistics = self.settings.statistics
        return Resampling(statistics.resamples, statistics.confidence, self.settings.seed)

    @cached_property
    def tables(self) -> dict[str, pd.DataFrame]:
        """All tables by name, see `TABLES`; empty where nothing was measured."""
        resampling, explained = self.resampling, self.explained
        roc = roc_table(explained, resampling)
        choices = choices_table(explained, self.view_values, roc, resampling)
        gains = self._gains()
        return {
            "fidelity": with_gains(fidelity_table(explained, resampling), gains, "fidelity"),
            "roc": with_gains(roc, gains, "auc"),
            "overlap": with_gains(overlap_table(explained, resampling), gains, "dice"),
            "evidence": with_gains(evidence_table(explained, resampling), gains, "evidence"),
            "ranks": with_rank_intervals(ranks_table(self.view_values), self.compared),
            "baselines": self._baselines(),
            "gains": gains,
            "pairs": by_view({view: pairs_table(data) for view, data in self.compared.items()}),
            "views": agreement_by_case(explained, resampling),
            "strata": strata_table(explained, resampling),
            "patients": patients_table(explained),
            "shortcut": pd.DataFrame() if self.shortcut is None else self.shortcut.maps,
            "choices": choices,
            "rank_ranges": rank_ranges_table(choices),
        }

    @cached_property
    def view_values(self) -> pd.DataFrame:
        """The one number of each estimator's map in each view with its interval."""
        return values_table(self.explained, self.resampling)

    def _gains(self) -> pd.DataFrame:
        """Gain of each map over the best blind baseline, and beside it over the best that has seen no mask."""
        confidence = self.resampling.confidence
        unmasked = self.measured.only([key for key in self.measured.maps if key[0] not in OF_MASKS])
        every, beside = (
            with_beats(
                by_view({view: gains_table(data, BLIND) for view, data in self._compared(measured).items()}), confidence
            )
            for measured in (self.measured, unmasked)
        )
        if every.empty or unmasked.maps == self.measured.maps:
            return every
        keys = ["view", "estimator", "signs"]
        names = ["baseline", "baseline_value", "gain", "ci_low", "ci_high", "p", "p_holm", "beats"]
        renamed = beside[[*keys, *names]].rename(columns={name: f"{name}_without_masks" for name in names})
        return every.merge(renamed, on=keys, how="left")

    def _baselines(self) -> pd.DataFrame:
        """Value of each blind baseline in each view: what an estimator reaches without looking at the network.

        One that cannot be drawn has no value, and ``not_drawn`` says why.
        """
        keys = [key for key in self.measured.maps if key[0] in BLIND and key[1] in ("original", BOTH)]
        table = values_table(self.measured.only(keys), self.resampling)
        if table.empty:
            return table
        table = table.drop(columns="signs").rename(columns={"estimator": "baseline"}).assign(not_drawn="")
        missing = [
            {"view": view, "baseline": name, "value": np.nan, "cases": 0, "patients": 0, "not_drawn": reason}
            for name, reason in self.description.get("missing_baselines", {}).items()
            for view in table["view"].unique()
        ]
        return pd.concat([table, pd.DataFrame(missing, columns=table.columns)]) if missing else table

    @cached_property
    def shortcut(self) -> Shortcut | None:
        """Whether the network relies on a planted marker; None where none was planted."""
        return shortcut_of(self.explained, self.compared.get("fidelity"), self.resampling)

    @cached_property
    def concordance(self) -> float:
        """Kendall's W of the rankings of all maps by the two views: 1 they agree, 0 they do not; NaN with one."""
        ranks = self.tables["ranks"]
        columns = [f"{view}_rank" for view in TWO_VIEWS if f"{view}_rank" in ranks]
        whole = ranks[columns].dropna()
        return concordance(whole.to_numpy().T) if len(columns) > 1 and len(whole) > 1 else float("nan")

    @cached_property
    def compared(self) -> dict[str, Compared]:
        """The maps of the estimators in each view, in the cases that all of them have."""
        return self._compared(self.explained)

    def _compared(self, measured: Measured) -> dict[str, Compared]:
        found = {view.name: compared(measured, view, self.resampling) for view in VIEWS.values()}
        return {view: data for view, data in found.items() if data is not None and len(data.maps) > 1}

    @cached_property
    def critical_differences(self) -> dict[str, CriticalDifference]:
        """Friedman's test with Nemenyi's critical difference for each view in which it can be made."""
        confidence = self.settings.statistics.confidence
        found = {view: critical_difference(data, confidence) for view, data in self.compared.items()}
        return {view: one for view, one in found.items() if one is not None}

    def table(self, name: str) -> pd.DataFrame:
        """One table with confidence intervals, a fresh copy.

        Raises:
            SettingsError: an unknown table.
        """
        if name not in TABLES:
            raise SettingsError(f"no table '{name}', there are {', '.join(TABLES)}")
        return self.tables[name].copy()

    @cached_property
    def agreement(self) -> dict[str, float]:
        """Kendall's tau-b between the rankings by each two views, named by their titles."""
        return agreement(self.tables["ranks"])
