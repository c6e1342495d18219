"""Labels of images: from a CSV, or from the contrast agent that the headers name."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ...errors import CaseError
from ..dicom.headers import Header
from ..tables import label_of, read_rows

KEYS = ("instance", "image", "series", "scan", "patient")
TAG_RULE = (
    "with contrast (1) where ContrastBolusAgent (0018,0010) is present, not empty and not NONE, else without (0); "
    "real headers are unreliable: check the values below, or give labels in a CSV"
)


@dataclass(frozen=True)
class Labels:
    """Labels by what identifies an image; the first key that a table has, and that is known, decides.

    Attributes:
        tables: for each key (see `KEYS`) its values with their labels.
        source: the CSV.
    """

    tables: Mapping[str, Mapping[str, int]]
    source: Path

    def find(self, keys: Mapping[str, str]) -> int | None:
        """The label of an image, None where the CSV does not have it."""
        for key in KEYS:
            label = self.tables.get(key, {}).get(keys.get(key, ""))
            if label is not None:
                return label
        return None

    @property
    def rule(self) -> str:
        """The rule in words."""
        return f"labels from {self.source.name}, by {' or '.join(key for key in KEYS if key in self.tables)}"


def read_labels(path: Path, classes: Sequence[str], rename: Callable[[str], str]) -> Labels:
    """A CSV with a column ``label`` and one or more of ``instance`` (SOP Instance UID), ``image`` (path relative to
    the CSV), ``series`` (Series Instance UID), ``scan`` and ``patient``.

    Raises:
        CaseError: none of these columns, a label outside the classes, or two labels for one image.
    """
    tables: dict[str, dict[str, int]] = {}
    for where, row in read_rows(path, ["label"]):
        label = label_of(row["label"], where, classes)
        for key in KEYS:
            value = row.get(key, "")
            if not value:
                continue
            if key == "image":
                value = str((path.parent / value).resolve())
            elif key == "patient":
                value = rename(value)
            if tables.setdefault(key, {}).setdefault(value, label) != label:
                if key in ("patient", "scan", "series"):
                    tables[key][value] = -1  # slices of both classes: a finer key must tell them apart
                else:
                    raise CaseError(f"{where}: a second label for {key} {row[key]}")
    if not tables:
        raise CaseError(f"{path}: no column that tells images apart, expected one of {', '.join(KEYS)}")
    usable = {key: {value: label for value, label in table.items() if label >= 0} for key, table in tables.items()}
    return Labels(usable, path)


def contrast_from_tags(headers: Sequence[Header]) -> tuple[int, str]:
    """Whether a series was taken with contrast agent, by `TAG_RULE`, and the tag's value in words."""
    agents = [header.agent for header in headers]
    named = [agent for agent in agents if agent and agent.upper() != "NONE"]
    if named:
        return 1, f"ContrastBolusAgent '{named[0]}'"
    if any(agents):
        return 0, "ContrastBolusAgent 'NONE'"
    return 0, "no ContrastBolusAgent" if agents.count(None) == len(agents) else "ContrastBolusAgent empty"
