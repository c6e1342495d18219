"""What a user declares on one line: ``"CT -160..240 HU 1x224x224"`` and ``"logits"``."""

import re
from dataclasses import dataclass, replace
from typing import Any, get_args

from ..classifier.classifier import Output
from ..classifier.contract import InputContract
from ..errors import SettingsError

NUMBER = r"[-+]?\d+(?:\.\d+)?"
RANGE = re.compile(rf"({NUMBER})\.\.({NUMBER})")
SHAPE = re.compile(r"(\d+)((?:x\d+){2,3})")
EXPECTED = (
    'expected words as in "-160..240 HU 1x224x224 spacing=0.8 mean=0.5 std=0.25 range=0..1 orientation=PL": windows '
    "(several separated by commas), channels x pixels along each axis, and where they apply millimetres a pixel, mean, "
    "standard deviation, what black and white were in training, where the axes rise to"
)


@dataclass(frozen=True)
class DeclaredOutput:
    """What ``--output`` says.

    Attributes:
        returns: of `Classifier`; empty where it is to be found out.
        key: which of several outputs.
    """

    returns: str = ""
    key: str = ""


def input_from(text: str, known: InputContract) -> InputContract:
    """The contract that a line declares, over what the network's files say.

    Raises:
        SettingsError: words that are none, or numbers that cannot be.
    """
    found: dict[str, Any] = {}
    for word in _words(text):
        name, _, value = word.partition("=")
        if word.upper() in ("CT", "HU", ""):
            continue
        if all(map(RANGE.fullmatch, word.split(","))):
            _require_once(found, "windows", word)
            found["windows"] = tuple(_range(one) for one in word.split(","))
        elif shape := SHAPE.fullmatch(word):
            _require_once(found, "size", word)
            found["channels"] = int(shape[1])
            if found["channels"] < 1:
                raise SettingsError(f"--input: '{word}' has no channels, expected 1 or more")
            found["size"] = tuple(int(one) for one in shape[2].split("x")[1:])
        elif name == "range" and RANGE.fullmatch(value):
            _require_once(found, "black", word)
            found["black"], found["white"] = _range(value)
        elif name in ("spacing", "mean", "std") and re.fullmatch(rf"{NUMBER}(,{NUMBER})*", value):
            _require_once(found, name, word)
            found[name] = tuple(map(float, value.split(",")))
        elif name == "orientation" and value:
            _require_once(found, name, word)
            found[name] = value.upper()
        elif re.fullmatch(r"\d+(x\d+)?", word):
            raise SettingsError(f"--input: '{word}': which channels? As in 1x{word}, or 1x16x64x64 of volumes")
        else:
            raise SettingsError(f"--input: '{word}' is not understood; {EXPECTED}")
    axes = len(found.get("size", known.size))
    if axes and len(found.get("spacing", ())) == 1:
        found["spacing"] *= axes
    return replace(known, **found)


def _require_once(found: dict[str, Any], name: str, word: str) -> None:
    """Refuse a second word for the same thing; what black and white were in training has a word of its own."""
    if name in found:
        hint = ""
        if name == "windows":
            hint = f" (several windows with commas), or range={word} for what black and white were in training"
        raise SettingsError(f"--input: '{word}' says {name} again: give one{hint}")


def _words(text: str) -> list[str]:
    """Words apart: a blank after a comma parts none, and neither does a unit that touches its numbers."""
    joined = re.sub(r",\s+", ",", text.replace(";", " "))
    return [re.sub(rf"({NUMBER})(?:HU|mm)\b", r"\1", word, flags=re.IGNORECASE) for word in joined.split()]


def _range(text: str) -> tuple[float, float]:
    low, high = RANGE.fullmatch(text).groups()  # type: ignore[union-attr]
    return float(low), float(high)


def output_from(text: str) -> DeclaredOutput:
    """What ``--output`` declares: one of `Output`, and after a colon which of several outputs; either may be left out.

    Raises:
        SettingsError: a word that is none.
    """
    returns, _, key = text.partition(":")
    if returns and returns not in get_args(Output):
        raise SettingsError(
            f"--output: '{returns}', expected one of {', '.join(get_args(Output))}, and the name or number of the "
            "output after a colon where there are several: logits:0"
        )
    return DeclaredOutput(returns, key)
