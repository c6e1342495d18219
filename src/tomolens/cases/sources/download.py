"""Fetching public collections from the Imaging Data Commons, with idc-index (extra ``tomolens[download]``)."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...errors import SettingsError, reason_of

COLLECTIONS = {"lidc-idri": ("lidc_idri",), "tcga": ("tcga_luad", "tcga_lusc")}
"""Names of the Imaging Data Commons for each collection of ours that it holds."""
LAYOUT = "%collection_id/%PatientID/%StudyInstanceUID/%Modality_%SeriesInstanceUID"


@dataclass(frozen=True)
class Download:
    """What would be fetched.

    Attributes:
        collection: as users type it.
        series: their Series Instance UIDs.
        patients: how many.
        megabytes: of all series.
    """

    collection: str
    series: tuple[str, ...]
    patients: int
    megabytes: float

    def __str__(self) -> str:
        size = f"{self.megabytes / 1000:.1f} GB" if self.megabytes >= 1000 else f"{self.megabytes:.0f} MB"
        return f"{self.collection}: {len(self.series)} CT series of {self.patients} patients, {size}"


def client() -> Any:
    """The index of the Imaging Data Commons.

    Raises:
        SettingsError: the extra is not installed.
    """
    try:
        from idc_index import IDCClient
    except ImportError as error:
        raise SettingsError("downloads need the extra: pip install 'tomolens[download]'") from error
    return IDCClient()


def plan_download(idc: Any, collection: str, patients: int | None = None) -> Download:
    """The CT series of a collection, and how much they are.

    Args:
        idc: see `client`.
        collection: one of `COLLECTIONS`.
        patients: only the first so many, in the order of their identifiers.

    Raises:
        SettingsError: an unknown collection, or one that the index does not have.
    """
    if collection not in COLLECTIONS:
        hint = (
            "; LNDb is given out at https://lndb.grand-challenge.org after registration" if collection == "lndb" else ""
        )
        raise SettingsError(f"collection '{collection}' cannot be fetched, expected {' or '.join(COLLECTIONS)}{hint}")
    table = idc.index
    chosen = table[table["collection_id"].isin(COLLECTIONS[collection]) & (table["Modality"] == "CT")]
    people = sorted(chosen["PatientID"].unique())[:patients]
    chosen = chosen[chosen["PatientID"].isin(people)]
    if chosen.empty:
        raise SettingsError(f"collection '{collection}' is not in this version of the index: update idc-index")
    return Download(collection, tuple(chosen["SeriesInstanceUID"]), len(people), float(chosen["series_size_MB"].sum()))


def download(idc: Any, plan: Download, out: Path, told: Callable[[str], None]) -> None:
    """Fetch a collection, or what is missing of it: files that are there already are not fetched again.

    Args:
        idc: see `client`.
        plan: what to fetch; said before anything starts.
        out: folder to write.
        told: a line for the user.

    Raises:
        SettingsError: not enough room, or a download that failed.
    """
    told(str(plan))
    try:
        out.mkdir(parents=True, exist_ok=True)
        there = sum(file.stat().st_size for file in out.rglob("*") if file.is_file()) / 1e6
        room = shutil.disk_usage(out).free / 1e6
    except OSError as error:
        raise SettingsError(f"{out}: cannot be written ({error.strerror})") from error
    if there:
        told(f"{there:.0f} MB are there already")
    if plan.megabytes - there > room:
        raise SettingsError(f"{out}: {plan.megabytes - there:.0f} MB are needed, {room:.0f} MB are free")
    try:
        idc.download_from_selection(
            downloadDir=str(out),
            seriesInstanceUID=list(plan.series),
            dirTemplate=LAYOUT,
            use_s5cmd_sync=True,
            quiet=True,
            show_progress_bar=True,
        )
    except Exception as error:  # s5cmd, the network and the index raise what they like
        raise SettingsError(f"download failed ({reason_of(error)}); the same command goes on") from error
    told(f"fetched into {out}; next: tomolens cases index {plan.collection} {out} --out cases.csv")
