"""`model check`: what is declared of a network against what it does, and the ``network.toml`` that a study takes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..classifier import Classifier
from ..classifier.architectures import ARCHITECTURES, require_arguments
from ..classifier.classifier import Task
from ..classifier.contract import InputContract
from ..classifier.network_file import OUTPUT_NOTE, NetworkFile, require_distinct
from ..classifier.output_kind import OutputSeen, output_seen
from ..classifier.sourced import SourcedNetwork, loaded_again
from ..classifier.sources import NetworkSource, kind_of
from ..classifier.sources.declared_input import Declared, declared_input
from ..classifier.sources.weights_files import state_of
from ..errors import NetworkError, SettingsError, reason_of
from ..randomness import generator
from .finding import Finding
from .trials import TRIALS, Tried
from .words import input_from, output_from

IMAGES = 4
"""On which a network is tried."""


@dataclass(frozen=True)
class Checked:
    """What came of checking a network.

    Attributes:
        findings: in the order in which they were made.
        network: what is declared of it now; None where it was refused.
    """

    findings: tuple[Finding, ...]
    network: NetworkFile | None


def check_network(
    place: str | Path,
    *,
    input: str = "",
    output: str = "",
    task: Task = "classes",
    classes: Sequence[str] = (),
    architecture: str = "",
    arguments: Mapping[str, Any] | None = None,
    allow_code: bool = False,
) -> Checked:
    """Read a network, try it on images of noise, and say what it takes and returns.

    Args:
        place: its file or folder; ``module.py:function`` of code of one's own.
        input: what goes in, see `input_from`; over what its files say.
        output: what comes out, see `output_from`; found out where that is beyond doubt.
        task: whether outputs are classes, of which an image has one, or labels.
        classes: their names, in the order of the outputs.
        architecture: in `ARCHITECTURES`, of weights alone.
        arguments: of the architecture.
        allow_code: whether code of one's own may be run.

    Raises:
        NetworkError: a network that cannot be read, or that its file has code for which was not allowed.
        SettingsError: words that are not understood.
    """
    source = source_of(place, architecture, arguments, allow_code=allow_code)
    declared = declared_input(source)
    try:
        contract = input_from(input, declared.contract)
    except SettingsError as error:
        raise SettingsError(
            f"--input, over what {source} says of itself ({declared.contract.said()}): {error}"
        ) from error
    returned = output_from(output)
    require_distinct(classes)
    findings = [Finding("read", f"{source}, hash {source.hash}")]
    network = loaded_again(source, contract, returned.key or declared.key, "cpu")
    findings += [Finding("read", one, "note") for one in network.notes]
    findings.append(_of_input(contract, network))
    findings += [Finding("not translated", one, "note") for one in contract.not_translated]
    if findings_refuse(findings):
        return Checked(tuple(findings), None)
    images = noise(contract)
    try:
        seen = output_seen(network, images)
    except NetworkError as error:
        return Checked((*findings, Finding("output", str(error), "refused")), None)
    except Exception as error:  # a network may raise anything
        said = f"it raised {reason_of(error)}; is the input as it was trained?"
        return Checked((*findings, Finding("output", said, "refused")), None)
    made = NetworkFile(source, contract, "logits", network.key, task, tuple(classes) or _fitting(declared, seen))
    of_output, returns = _of_output(returned.returns, seen, made)
    findings.append(of_output)
    if returns is None:
        return Checked(tuple(findings), None)
    made = replace(made, output=returns)
    findings += _tried(made, network, images)
    if findings_refuse(findings):
        return Checked(tuple(findings), None)
    told = {"tomolens": version("tomolens"), "torch": torch.__version__}
    for one in findings:
        told[one.check] = "; ".join([told[one.check], one.found] if one.check in told else [one.found])
    if of_output.state == "note":
        told[OUTPUT_NOTE] = of_output.found
    return Checked(tuple(findings), replace(made, checked=told))


def findings_refuse(findings: Sequence[Finding]) -> bool:
    """Whether a network cannot be evaluated."""
    return any(one.state == "refused" for one in findings)


def source_of(
    place: str | Path, architecture: str = "", arguments: Mapping[str, Any] | None = None, *, allow_code: bool = False
) -> NetworkSource:
    """The source that lies at a place, by what it is.

    Raises:
        NetworkError: see `check_network`.
    """
    file, colon, function = str(place).rpartition(":")
    if colon and file.endswith(".py"):
        if not allow_code:
            raise NetworkError(
                f"{place}: the network is made by running {file}: allow it with --allow-code if that is your own"
            )
        return NetworkSource.of("factory", file, function)
    path = Path(place)
    kind = kind_of(path)
    if kind == "factory":
        raise NetworkError(f"{path}: name the function that makes the network: {path}:function")
    if kind in ("safetensors", "state-dict"):
        if kind == "state-dict":
            state_of(path)  # a pickled module is told of as such
        if not architecture:
            known = ", ".join(ARCHITECTURES)
            raise NetworkError(f"{path}: weights alone: name what they are of with --architecture, one of {known}")
        require_arguments(architecture, arguments or {})
        return NetworkSource.of(kind, path, architecture, arguments)
    if architecture or arguments:
        raise SettingsError(f"{path}: brings its own architecture ({kind}): leave out --architecture and --arguments")
    return NetworkSource.of(kind, path)


def noise(contract: InputContract) -> Tensor:
    """Images from 0 to 1 as a network takes them, smooth and of different brightness, the same on every machine."""
    channels = len(contract.windows) or 1
    if len(contract.windows) <= 1 and contract.channels:
        channels = 1
    random = generator(0, "model check")
    images = random.random((IMAGES, channels, *contract.size), dtype="float32")
    shades = torch.linspace(0.2, 1.0, IMAGES).reshape(-1, *[1] * (images.ndim - 1))
    return torch.from_numpy(images) * shades


def _of_input(contract: InputContract, network: SourcedNetwork) -> Finding:
    """Whether enough is said of the images."""
    if not contract.size:
        return Finding("input", 'which size? give it with --input "-160..240 HU 1x224x224"', "refused")
    if not contract.windows:
        shape = "x".join(map(str, (contract.channels or 1, *contract.size)))
        return Finding(
            "input",
            "which Hounsfield units are black and white? With others every map is of other images: "
            f'--input "-160..240 HU {shape}"',
            "refused",
        )
    windows = ", ".join(f"{low:g} to {high:g} HU" for low, high in contract.windows)
    sides = " x ".join(map(str, contract.size))
    words = f"{windows}, {sides} pixels"
    if contract.channels > len(contract.windows):
        words += f", repeated to {contract.channels} channels"
    if contract.spacing:
        words += f" of {' x '.join(f'{one:g}' for one in contract.spacing)} mm"
    if (contract.black, contract.white) != (0.0, 1.0):
        words += f", given as {contract.black:g} to {contract.white:g}"
    if contract.mean or contract.std:
        words += f", minus {list(contract.mean) or 0}, divided by {list(contract.std) or 1}"
    if contract.orientation:
        words += f", axes rising to {contract.orientation}"
    if network.batch is not None:
        words += f"; {network.batch} at a time"
    return Finding("input", words)


def _fitting(declared: Declared, seen: OutputSeen) -> tuple[str, ...]:
    """The names that files give the classes, where there are as many as outputs."""
    count = 2 if seen.neurons == 1 else seen.neurons
    return declared.classes if len(declared.classes) == count else ()


def _of_output(declared: str, seen: OutputSeen, made: NetworkFile) -> tuple[Finding, Any]:
    """What comes out against what is declared, and the word for it; None where it is refused."""
    count = 2 if seen.neurons == 1 and made.task == "classes" else seen.neurons
    check = "output"
    if made.classes and len(made.classes) != count:
        found = f"{seen}: {count} {made.task}, and {len(made.classes)} are named: {', '.join(made.classes)}"
        return Finding(check, found, "refused"), None
    if seen.whole:
        found = f"{seen}, all whole numbers: decisions, as argmax or a threshold leaves them, have no score to explain"
        return Finding(check, found, "refused"), None
    if not seen.varies:
        return Finding(check, f"{seen}: the same for every image; there is nothing to explain", "refused"), None
    one = seen.neurons == 1
    if declared:
        fits = one == (declared in ("logit", "probability"))
        probable = declared.startswith("probabilit")
        if not fits or (probable and not seen.within_one):
            return Finding(check, f"{seen}, declared as {declared}: {_instead(one, seen)}", "refused"), None
        if probable and not one and made.task == "classes" and not seen.rows_sum_to_one:
            return Finding(check, f"{seen}, which are no probabilities of classes: labels?", "refused"), None
        odd = not probable and seen.within_one and (one or made.task == "labels" or seen.rows_sum_to_one)
        return Finding(
            check,
            f"{seen}: {declared}{', though they look like probabilities' if odd else ''}",
            "note" if odd else "ok",
        ), declared
    if seen.within_one:
        either = "probability or logit" if one else "probabilities or logits"
        return Finding(check, f"{seen}: {either}? Say so with --output", "refused"), None
    if made.task == "labels" and one:
        return Finding(check, f"{seen}: one output, and labels were declared", "refused"), None
    returns = "logit" if one else "logits"
    return Finding(check, f"{seen}: {returns}, beyond [0, 1] where probabilities are"), returns


def _instead(one: bool, seen: OutputSeen) -> str:
    """What values like these can be."""
    scores, shares = ("a logit", "a probability") if one else ("logits", "probabilities")
    of = "one value an image is" if one else f"{seen.neurons} values an image are"
    return f"{of} {scores}" + (f" or {shares}" if seen.within_one else f", and {shares} lie in [0, 1]")


def _tried(made: NetworkFile, network: SourcedNetwork, images: Tensor) -> list[Finding]:
    tried = Tried(Classifier(network, made.output, "logit", made.contract.intensity, made.task), images)
    found: list[Finding] = []
    with tried.classifier.frozen():
        for trial in TRIALS:
            found.append(trial(tried))
            if found[-1].state == "refused":
                break
    return found
