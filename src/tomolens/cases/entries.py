"""What is known of given cases before their pixels: names, labels, classes, patients, and their side of a split."""

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from typing import Any, cast, get_args

from numpy.typing import NDArray

from ..errors import CaseError
from .case import CaseEntry, Split
from .pseudonyms import own_salt, pseudonym
from .tables import label_of

Texts = Sequence[Any] | NDArray[Any]
"""Names or numbers, one a case."""
MOST_CLASSES = 1000
"""That are counted from the labels; more are a mistake, or have names."""


def entries_of(
    labels: Sequence[str],
    *,
    patients: Texts | None,
    names: Texts | None,
    classes: Sequence[str] | None,
    split: Sequence[Split | None] | None,
    keep_patients: bool,
) -> tuple[tuple[CaseEntry, ...], tuple[str, ...]]:
    """What is known of cases before their pixels, and the names of their classes; see `Cases.from_arrays`.

    Raises:
        CaseError: not one value a case, a name given twice, a label outside the classes; with the case.
        SettingsError: no salt can be kept for pseudonyms.
    """
    count = len(labels)
    called = [numbered(place, count) for place in range(count)] if names is None else _texts(names, count, "names")
    for place, name in enumerate(called):
        require_name(name, f"image {place + 1}")
    name, times = Counter(called).most_common(1)[0]
    if times > 1:
        raise CaseError(f"case {name}: {times} images have this name, expected one of its own for each")
    known = tuple(classes) if classes is not None else _classes_counted(labels, called)
    found = [label_of(label, f"case {name}", known) for label, name in zip(labels, called, strict=True)]
    owners = called if patients is None else _pseudonyms(_texts(patients, count, "patients"), called, keep_patients)
    sides = [None] * count if split is None else _sides(split, count, called)
    entries = (CaseEntry(*each[:3], split=each[3]) for each in zip(called, found, owners, sides, strict=True))
    return tuple(entries), known


def numbered(place: int, count: int) -> str:
    """The name of a case that has none: ``case-0001`` is the first."""
    return f"case-{place + 1:0{max(4, len(str(count)))}d}"


def require_name(name: str, where: str) -> None:
    """Refuse what is no name.

    Raises:
        CaseError: empty, or with line breaks or control characters.
    """
    if not name.strip() or not name.isprintable():
        raise CaseError(f"{where}: name {name[:40]!r}, expected printable text")


def _classes_counted(labels: Sequence[str], names: Sequence[str]) -> tuple[str, ...]:
    """Names of the classes 0, 1, ... of labels, two at least."""
    most = 1
    for label, name in zip(labels, names, strict=True):
        whole = re.fullmatch(r"([0-9]{1,9})(\.0*)?", label)
        index = int(whole[1]) if whole else int(label == "True") if label in ("True", "False") else -1
        if not 0 <= index < MOST_CLASSES:
            raise CaseError(
                f"case {name}: label '{label}', expected a whole number from 0 to {MOST_CLASSES - 1}, or names of the "
                "classes 0, 1, ... in classes=[...]"
            )
        most = max(most, index)
    return tuple(f"class {index}" for index in range(most + 1))


def _texts(values: Texts, count: int, what: str) -> list[str]:
    given = list(values.tolist() if hasattr(values, "tolist") else values)
    if len(given) != count:
        raise CaseError(f"{len(given)} {what} for {count} images, expected one an image")
    for place, value in enumerate(given):
        if value is None or value != value:
            raise CaseError(f"{what}: number {place + 1} is {value}, expected text or a number")
    # One word in two Unicode forms is one name and one patient.
    return [unicodedata.normalize("NFC", str(value)) for value in given]


def _pseudonyms(patients: Sequence[str], names: Sequence[str], keep: bool) -> Sequence[str]:
    for patient, name in zip(patients, names, strict=True):
        require_name(patient, f"case {name}: patient")
    salt = None if keep else own_salt()
    return patients if salt is None else [pseudonym(patient, salt) for patient in patients]


def _sides(split: Sequence[Split | None], count: int, names: Sequence[str]) -> list[Split | None]:
    given = list(split)
    if len(given) != count:
        raise CaseError(f"split of {len(given)} for {count} images, expected one an image")
    sides = [None if one is None or str(one) == "" else str(one) for one in given]
    for side, name in zip(sides, names, strict=True):
        if side is not None and side not in get_args(Split):
            raise CaseError(f"case {name}: split '{side}', expected train, test or None")
    return cast("list[Split | None]", sides)
