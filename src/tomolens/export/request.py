"""What is asked for of scans, by which it is known, and where it goes."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal, get_args

from ..cases.formats import IMAGE_SUFFIXES
from ..cases.pseudonyms import own_salt, pseudonym
from ..errors import SettingsError
from ..estimators.estimator import Estimator, is_blind
from .given import GivenNetwork
from .trust import Trust

Format = Literal["png", "nifti", "dicom", "html"]
FORMATS: tuple[Format, ...] = get_args(Format)
ENDINGS = (".nii.gz", *IMAGE_SUFFIXES, ".dcm", ".dicom", ".zip")


@dataclass(frozen=True)
class Request:
    """What is asked for.

    Attributes:
        network: that is shown the scans.
        estimators: to make maps.
        formats: to write.
        explained_class: see `explain_scan`.
        slices: likewise.
        series: likewise.
        seed: likewise.
        trust: of a study, or None.
        anyway: whether maps are written that a study says are not to be believed.
        anonymous: whether no file names the patient or the scan.
        share: of the voxels in DICOM segmentations: those of the largest magnitudes.
    """

    network: GivenNetwork
    estimators: tuple[Estimator, ...]
    formats: tuple[Format, ...] = ("png", "nifti")
    explained_class: str = ""
    slices: str = "all"
    series: str = ""
    seed: int = 0
    trust: Trust | None = None
    anyway: bool = False
    anonymous: bool = False
    share: float = 0.05

    @property
    def known_by(self) -> dict[str, Any]:
        """All that decides what is written of a scan, beside the scan itself."""
        return {
            "tomolens": version("tomolens"),
            "network": self.network.hash,
            "label": self.network.label,
            "estimators": [repr(one) for one in self.estimators],
            "formats": list(self.formats),
            "class": self.explained_class,
            "slices": self.slices,
            "series": hashlib.blake2b(self.series.encode(), digest_size=8).hexdigest() if self.series else "",
            "seed": self.seed,
            "trust": "" if self.trust is None else self.trust.hash,
            "anyway": self.anyway,
            "anonymous": self.anonymous,
            "share": self.share,
        }

    def called(self, scan: Path) -> str:
        """What a scan is called in all that is written: its name, or a pseudonym of it."""
        name = scan.resolve().name
        return pseudonym(name, own_salt()) if self.anonymous else name


def formats_of(text: str) -> tuple[Format, ...]:
    """From ``png,nifti``.

    Raises:
        SettingsError: a format that there is not.
    """
    found = tuple(dict.fromkeys(one.strip() for one in text.split(",") if one.strip()))
    for one in found:
        if one not in FORMATS:
            raise SettingsError(f"format '{one}', expected some of {', '.join(FORMATS)}")
    if not found:
        raise SettingsError(f"no format, expected some of {', '.join(FORMATS)}")
    return found  # type: ignore[return-value]


def require_estimators(estimators: Sequence[Estimator]) -> None:
    """Refuse what never looks at the network: it explains nothing.

    Raises:
        SettingsError: naming it.
    """
    for one in estimators:
        if is_blind(one):
            raise SettingsError(f"estimator '{one.name}' never looks at the network: its map explains nothing")


def plain(name: str) -> str:
    """A name as part of a file's name."""
    kept = "".join(one if one.isalnum() or one in "-_.=" else "-" for one in name)
    return kept.strip("-.") or "map"


def folders_of(scans: Sequence[Path], out: Path, request: Request) -> list[tuple[Path, Path]]:
    """A folder for each scan, called as it is; of several called alike, numbered. The same scan twice is one."""
    found: dict[Path, tuple[Path, Path]] = {}
    taken: set[str] = set()
    for scan in scans:
        if scan.resolve() in found:
            continue
        called = request.called(scan)
        ending = next((one for one in ENDINGS if called.lower().endswith(one)), "")
        name = begun = plain(called[: len(called) - len(ending)])
        number = 1
        while name in taken:
            number += 1
            name = f"{begun}-{number}"
        taken.add(name)
        found[scan.resolve()] = (scan, out / name)
    return list(found.values())
