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
from .measured import Measured, read_measured
from .tables import agreement, fidelity_table, overlap_table, ranks_table, roc_table

TABLES = ("fidelity", "roc", "overlap", "ranks")


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
    def tables(self) -> dict[str, pd.DataFrame]:
        """All tables by name: fidelity, roc, overlap, ranks; empty where nothing was measured."""
        statistics = self.settings.statistics
        resampling = Resampling(statistics.resamples, statistics.confidence, self.settings.seed)
        fidelity = fidelity_table(self.measured, resampling)
        roc = roc_table(self.measured, resampling)
        overlap = overlap_table(self.measured, resampling)
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
