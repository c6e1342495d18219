"""`Findings`: the answer of a study, recomputed from its stored measurements."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from ..errors import SettingsError
from ..estimators.baselines import BASELINES
from ..study.settings import StudySettings
from ..study.store import Store
from .bootstrap import Resampling
from .inference import (
    VIEWS,
    Compared,
    CriticalDifference,
    compared,
    critical_difference,
    gains_table,
    pairs_table,
)
from .measured import Key, Measured, read_measured
from .tables import (
    agreement,
    baselines_table,
    fidelity_table,
    overlap_table,
    ranks_table,
    roc_table,
    with_rank_intervals,
)
from .views import agreement_by_case, concordance

TABLES = ("fidelity", "roc", "overlap", "ranks", "baselines", "gains", "pairs", "views")
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
        resampling = self.resampling
        fidelity = fidelity_table(self.explained, resampling)
        roc = roc_table(self.explained, resampling)
        overlap = overlap_table(self.explained, resampling)
        ranks = ranks_table(fidelity, roc, overlap)
        return {
            "fidelity": fidelity,
            "roc": roc,
            "overlap": overlap,
            "ranks": with_rank_intervals(ranks, self.compared(), resampling),
            "baselines": baselines_table(self.measured, BLIND, resampling),
            "gains": self._by_view(lambda data: gains_table(data, BLIND, resampling), self.measured.maps),
            "views": agreement_by_case(self.explained, resampling),
            "pairs": self._by_view(lambda data: pairs_table(data, resampling), self.explained.maps),
        }

    @cached_property
    def concordance(self) -> float:
        """Kendall's W of the rankings of all maps by the views: 1 they agree, 0 they do not; NaN with one view."""
        ranks = self.tables["ranks"]
        columns = [column for column in ("fidelity_rank", "auc_rank", "dice_rank") if column in ranks]
        whole = ranks[columns].dropna()
        return concordance(whole.to_numpy().T) if len(columns) > 1 and len(whole) > 1 else float("nan")

    def compared(self) -> dict[str, Compared]:
        """The maps of the estimators in each view, in the cases that all of them have."""
        found = {view: compared(self.measured, view, self.explained.maps) for view in VIEWS}
        return {view: data for view, data in found.items() if data is not None and len(data.maps) > 1}

    @cached_property
    def critical_differences(self) -> dict[str, CriticalDifference]:
        """Friedman's test with Nemenyi's critical difference for each view in which it can be made."""
        confidence = self.settings.statistics.confidence
        found = {view: critical_difference(data, confidence) for view, data in self.compared().items()}
        return {view: one for view, one in found.items() if one is not None}

    def _by_view(self, table: Callable[[Compared], pd.DataFrame], maps: tuple[Key, ...]) -> pd.DataFrame:
        parts = []
        for view in VIEWS:
            data = compared(self.measured, view, maps)
            if data is not None and len(maps) > 1:
                found = table(data)
                if not found.empty:
                    found.insert(0, "view", view)
                    parts.append(found)
        return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()

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
        """Kendall's tau-b between the rankings by fidelity, AUC and Dice."""
        return agreement(self.tables["ranks"])
