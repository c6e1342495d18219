"""`Findings`: the answer of a study, recomputed from its stored measurements."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from ..errors import SettingsError
from ..study.settings import StudySettings
from ..study.store import Store
from .bootstrap import Resampling
from .tables import agreement, fidelity_table, overlap_table, ranks_table, roc_table

TABLES = ("fidelity", "roc", "overlap", "ranks")


@dataclass(frozen=True, eq=False)
class Findings:
    """Tables and curves of one study.

    Attributes:
        measurements: one row for (case, estimator, signs, metric).
        description: content of ``study.json``.
        settings: of the study.
    """

    measurements: pd.DataFrame
    description: Mapping[str, Any]
    settings: StudySettings

    @classmethod
    def from_folder(cls, folder: str | Path) -> "Findings":
        """The findings of a study's folder.

        Raises:
            SettingsError: no study there, or a damaged one.
        """
        store = Store(Path(folder))
        description = store.description()
        try:
            settings = StudySettings.model_validate(description["content"]["settings"])
        except (KeyError, TypeError, ValueError) as error:
            raise SettingsError(f"{store.description_file}: not a study of this version ({error})") from error
        return cls(store.measurements(), description, settings)

    @cached_property
    def tables(self) -> dict[str, pd.DataFrame]:
        """All tables by name: fidelity, roc, overlap, ranks; empty where nothing was measured."""
        statistics = self.settings.statistics
        resampling = Resampling(statistics.resamples, statistics.confidence, self.settings.seed)
        fidelity = fidelity_table(self.measurements, resampling)
        roc = roc_table(self.measurements, resampling)
        overlap = overlap_table(self.measurements, resampling)
        return {"fidelity": fidelity, "roc": roc, "overlap": overlap, "ranks": ranks_table(fidelity, roc, overlap)}

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
