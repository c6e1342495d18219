"""Which cases show the implant, and which show the original: balanced, and drawn by name."""

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import get_args

from ...errors import CaseError, SettingsError
from ...randomness import generator
from ..case import CaseEntry, Cases
from ..files import FileReader
from ..phantom.findings import classes_of, require_finding
from .alteration import Diameters
from .reader import ImplantReader
from .registry import IMPLANTS, Implant


def implanted(
    cases: Cases, implant: Implant, seed: int = 0, share: float = 0.5, diameters: Diameters | None = None
) -> Cases:
    """Cases with findings put into their slices or volumes, each with its other version as the twin.

    ``nodule`` and ``lesion`` go into those without one: the label is 1 where the altered version is shown, the mask is
    the finding, and a case that shows the original has neither mask nor evidence. ``contrast`` raises the blood in the
    mask of a case without contrast agent and takes it away in one with it: the label turns where the altered version is
    shown, and the mask stays the expert's. Evidence is |image - twin|, of several channels the largest, and an implant
    must show in one at least. Names, patients, sides and notes stay.

    Args:
        cases: slices or volumes whose images are read from files in HU, so that a scanner's own noise and sharpness are
            there.
        implant: ``nodule``, ``lesion`` or ``contrast``.
        seed: of every draw, with the case's name: another order of the cases changes nothing.
        share: of the cases that show the altered version, within each label and side of the split; 1 shows it in all.
        diameters: least and largest of a nodule or lesion, mm; 4 to 20 and 8 to 24 by default.

    Raises:
        SettingsError: no such implant, share or diameters, images that are not read from files in HU, or volumes that
            cannot take it: contrast agent goes into slices alone.
        CaseError: cases that are said to have the finding already.

    Example:
        >>> import tempfile, pathlib, SimpleITK as sitk
        >>> from tomolens.cases import from_manifest, phantom
        >>> folder = pathlib.Path(tempfile.mkdtemp())
        >>> drawn = phantom.draw(seed=0, index=0)
        >>> image = sitk.GetImageFromArray(drawn.image[None])
        >>> image.SetSpacing((drawn.spacing, drawn.spacing, 1.0))
        >>> sitk.WriteImage(image, str(folder / "a.nii.gz"))
        >>> _ = (folder / "cases.csv").write_text("case,image,label,patient\\na,a.nii.gz,0,p")
        >>> cases = implanted(from_manifest(folder / "cases.csv", keep_patients=True), "lesion", share=1.0)
        >>> cases.classes[cases[0].label], cases[0].twin.shape, bool(cases[0].mask.any())
        ('with lesion', (1, 224, 224), True)
    """
    if implant not in get_args(Implant):
        raise SettingsError(f"implant {implant!r}, expected {', '.join(get_args(Implant))}")
    require_finding(implant, diameters)
    if not 0 <= share <= 1:
        raise SettingsError(f"share {share} of the cases with an implant, expected 0 to 1")
    if not isinstance(cases.read, FileReader):
        raise SettingsError(
            f"implant {implant!r}: the cases come from {type(cases.read).__name__}, and implants need images in HU "
            "read from files: those of a manifest or a folder"
        )
    kind = IMPLANTS[implant]
    if cases.read.dimensions != 2 and kind.alter_volume is None:
        able = ", ".join(name for name, one in IMPLANTS.items() if one.alter_volume is not None)
        raise SettingsError(f"implant {implant!r}: it goes into slices (2 dimensions) alone; into volumes go {able}")
    _require_labels(cases, implant, kind.both_ways)
    shown = _shown(cases.entries, implant, seed, share)
    entries = tuple(
        replace(entry, label=1 - entry.label if entry.name in shown else entry.label) for entry in cases.entries
    )
    return Cases(entries, ImplantReader(cases.read, implant, seed, shown, diameters), classes_of(implant))


def _require_labels(cases: Cases, implant: str, both_ways: bool) -> None:
    allowed = (0, 1) if both_ways else (0,)
    wrong = [entry for entry in cases.entries if entry.label not in allowed]
    if not wrong:
        return
    first = f"case {wrong[0].name} and {len(wrong) - 1} more have" if len(wrong) > 1 else f"case {wrong[0].name} has"
    if both_ways:
        raise CaseError(f"{first} label {wrong[0].label}: implants of contrast agent know 0 (without) and 1 (with)")
    raise CaseError(
        f"{first} label {wrong[0].label}, i.e. a {implant} of their own: implants go into cases without the "
        "finding, all of label 0"
    )


def _shown(entries: Sequence[CaseEntry], implant: str, seed: int, share: float) -> frozenset[str]:
    """Names of the cases that show the altered version; the odd one of a group goes by a coin."""
    groups: dict[tuple[int, str], list[str]] = defaultdict(list)
    for entry in entries:
        groups[entry.label, entry.split or ""].append(entry.name)
    shown: set[str] = set()
    for (label, split), names in groups.items():
        drawn = sorted(names, key=lambda name: (generator(seed, "implant", implant, "shown", name).uniform(), name))
        coin = generator(seed, "implant", implant, "coin", label, split).uniform()
        shown.update(drawn[: math.floor(share * len(names) + coin)])
    return frozenset(shown)
