"""What a study says about an estimator, in one line that goes with every map."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..errors import SettingsError
from ..findings.verdict import Question, TrustCard, card_from_json
from ..report.trust import SHORT
from ..results.description import Description
from ..results.store import Store
from ..study.given_network import name_of_label, one_an_axis
from .given import GivenNetwork
from .scan_map import NOT_ASSESSED, ScanMap

SELDOM: Question = "choices"
"""Said where it was assessed alone: most studies vary nothing."""


@dataclass(frozen=True)
class Trust:
    """The trust cards of a study of the same network.

    Attributes:
        study: its name.
        cards: by the parameters of the estimator as they are written in Python: with others it makes another map.
        hash: of the verdict.
    """

    study: str
    cards: Mapping[str, TrustCard]
    hash: str = ""

    def of(self, scan_map: ScanMap) -> str:
        """The line of a map."""
        card = self.cards.get(scan_map.parameters)
        if card is None:
            return f"{NOT_ASSESSED}: study “{self.study}” did not measure {scan_map.estimator}"
        states = {one: card.state(one) for one in SHORT if card.of(one)}
        told = [f"{SHORT[one]}: {state}" for one, state in states.items() if one != SELDOM or state != "not assessed"]
        begun = "to be believed" if card.believed else "NOT TO BE BELIEVED" if card.fails else NOT_ASSESSED
        form = {"absolute": ", of its absolute values", "original": ", of it as it is"}.get(card.form, "")
        return f"{begun} by study “{self.study}”{form} ({'; '.join(told)})"

    def fails(self, scan_map: ScanMap) -> bool:
        """Whether the estimator failed a check that a map must pass."""
        card = self.cards.get(scan_map.parameters)
        return card is not None and card.fails

    def told(self, scan_map: ScanMap) -> ScanMap:
        """The map with its line."""
        return replace(scan_map, trust=self.of(scan_map))


def read_trust(folder: str | Path, network: GivenNetwork) -> Trust:
    """The trust cards of a study's folder, if it is of this network.

    Raises:
        SettingsError: no finished study there, or one of another network.
    """
    store = Store(Path(folder))
    description = store.description()
    try:
        verdict = json.loads((store.folder / "verdict.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SettingsError(
            f"{store.folder}: no verdict.json that can be read: `tomolens report {store.folder}` writes it"
        ) from error
    _require_same(store.folder, description, network)
    parameters = {one.name: one.parameters for one in description.estimators}
    try:
        cards = {parameters[card.estimator]: card for card in map(card_from_json, verdict["cards"])}
    except (KeyError, TypeError, AttributeError) as error:
        raise SettingsError(
            f"{store.folder}: verdict.json holds no trust cards: `tomolens report` writes it"
        ) from error
    text = json.dumps(verdict, sort_keys=True)
    return Trust(description.name, cards, hashlib.blake2b(text.encode(), digest_size=16).hexdigest())


def _require_same(folder: Path, description: Description, network: GivenNetwork) -> None:
    """Refuse a study of another network, or of what it says about something else.

    Raises:
        SettingsError: another file or weights, input, label or classes.
    """
    about = f"{folder}: study “{description.name}”"
    networks, cases = description.get("networks", []), description.settings["cases"]
    same = any(all(one.get(name) == value for name, value in network.known_as.items()) for one in networks)
    axes = int(cases.get("dimensions") or 2)
    if not same or any(
        _each(name, cases.get(name), axes) != _each(name, value, axes) for name, value in network.cases_as.items()
    ):
        raise SettingsError(
            f"{about} is of another network than {network.place}, or one that takes something else or by other "
            "patches: its trust cards say nothing about this one's maps"
        )
    label = (description.settings.get("classifier") or {}).get("label", "")
    if network.label and name_of_label(str(label), network.labels) != network.label:
        raise SettingsError(f"{about} is of the label '{label}', and '{network.label}' is explained")
    if network.classes and tuple(description.classes) != network.classes:
        classes = ", ".join(description.classes)
        raise SettingsError(f"{about} tells {classes} apart, and the network {', '.join(network.classes)}")


def _each(name: str, value: Any, axes: int) -> Any:
    """A setting of cases with a number for each axis, where one may stand for all."""
    if name not in ("size", "spacing"):
        return value
    return one_an_axis(tuple(value) if isinstance(value, list) else value, axes)
