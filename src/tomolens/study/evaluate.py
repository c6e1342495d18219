"""The unit of work: one case in, its measurements out, depending on nothing but its arguments."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..cases import Case
from ..cases.masks.usable import is_usable
from ..classifier import Classifier
from ..declarations import BLURRED, FORMS
from ..errors import TomolensError, in_full, is_out_of_memory
from ..estimators.baselines import TRUTH
from ..estimators.estimator import Estimator
from ..estimators.explain import Explained, explain_each
from ..estimators.subject import References, Scene
from ..imputers.fills import blurred
from ..metrics.evaluand import Evaluand, MapKey, Rival
from ..metrics.ranked import RankedMap, absolute, rank_map
from ..results.rows import CALIBRATION, NETWORK, NOT_ASSESSED, REMARK, SAME, TWIN_TURNS, Measurement
from .measure import measured
from .plan import Plan
from .scenes import other_image, scene_of, scene_raised, turns_at
from .variations import measure_by_rival, measure_calibration, measure_variations


@dataclass(frozen=True)
class Evaluation:
    """What became of a case.

    Attributes:
        predicted: class that the network gives the unmasked image.
        measurements: of all its maps.
        maps: the importance maps, ``(C, *spatial)`` for each estimator.
        planes: ``(*spatial)`` of each of their forms, channels made one.
        region_maps: ``(*spatial)`` for each of these; empty without a usable mask.
        fill: mean of what masked pixels become in each channel, from 0 (black) to 1 (white).
        explained: the class whose maps these are.
        rankings: all maps that were sorted, blind ones and the truth among them.
        along: see `Evaluand.along`.
    """

    predicted: int
    measurements: tuple[Measurement, ...]
    maps: dict[str, Tensor]
    planes: dict[MapKey, NDArray[np.float64]]
    region_maps: dict[MapKey, NDArray[np.float64]]
    fill: tuple[float, ...]
    explained: int = 0
    rankings: Mapping[MapKey, RankedMap] = field(default_factory=dict)
    along: Mapping[MapKey, NDArray[np.float32]] = field(default_factory=dict)


@dataclass(frozen=True)
class Prepared:
    """A case that was explained, ready to be measured.

    Attributes:
        evaluand: with all its maps ranked.
        made: what came of explaining it.
        explaining: `explain_each` with all that the study chose for this case.
        scene: what stands beside the image.
        predicted: class that the network gives the image.
        turns: whether the network decides otherwise about its twin; None where there is none.
        fill: mean of what masked pixels become in each channel, from 0 (black) to 1 (white); of the image where that is
            not known.
    """

    evaluand: Evaluand
    made: Explained
    explaining: Callable[..., Explained]
    scene: Scene
    predicted: int
    turns: bool | None
    fill: tuple[float, ...]


def evaluate(
    case: Case,
    classifier: Classifier,
    plan: Plan,
    references: References | None = None,
    atlas: NDArray[np.float64] | None = None,
    calibration: Case | str | None = None,
    rivals: Sequence[Rival] = (),
    refined: Classifier | str | None = None,
) -> Evaluation:
    """Explain one case with every estimator and measure every map, as it is and absolute, and what it must beat.

    An estimator or a metric that fails costs its own rows, and a row says why. Maps explain the predicted class, unless
    the plan says another; fidelity asks whether decisions about it are right. A baseline has no negative values and is
    measured once, and so are each estimator's blurred map and the truth, where the case has a twin about which the
    network decides otherwise.
    ``atlas`` is the mean of the training cases' masks, for the baselines that need it; ``calibration`` the same case
    with an implant, whose maps are measured beside, or why it can have none; ``rivals`` are networks of other
    trainings, by which the case is explained and measured too, and ``refined`` is the one that learned from randomly
    masked images, or why there is none.

    Raises:
        TomolensError: a network that fails on this case, or for every estimator; the message names the case.
    """
    try:
        prepared = prepare(case, classifier, plan, references, atlas)
        evaluand = replace(prepared.evaluand, rivals=tuple(rivals) or None, refined=refined)
        measurements = (
            *of_network(case, classifier, prepared.predicted, prepared.turns),
            *_of_estimators(prepared.made, evaluand),
            *(one for name in plan.metrics.names for one in measured(name, evaluand)),
            *measure_variations(plan, evaluand, prepared.explaining, prepared.scene),
        )
        measurements += tuple(_calibrated(calibration, classifier, plan, references, atlas))
        measurements += tuple(_by_rivals(case, evaluand.rankings.keys(), rivals, plan, references, atlas))
    except TomolensError as error:
        raise type(error)(f"case {case.name}: {error}") from error
    regions: dict[MapKey, NDArray[np.float64]] = vars(evaluand).get("region_maps", {})  # where a metric made them
    return Evaluation(
        prepared.predicted,
        measurements,
        dict(evaluand.maps),
        {key: one.scores.reshape(one.shape) for key, one in evaluand.rankings.items() if _is_own(key, evaluand)},
        {key: one for key, one in regions.items() if _is_own(key, evaluand)},
        prepared.fill,
        evaluand.explained,
        evaluand.rankings,
        evaluand.along,
    )


def _calibrated(
    calibration: Case | str | None,
    classifier: Classifier,
    plan: Plan,
    references: References | None,
    atlas: NDArray[np.float64] | None,
) -> Iterator[Measurement]:
    """What is measured of the case with an implant; why not, where it can have none or the network fails on it."""
    if isinstance(calibration, Case):
        try:
            other = prepare(calibration, classifier, plan, references, atlas)
        except TomolensError as error:
            calibration = str(error)
        else:
            yield from measure_calibration(plan, other.evaluand, bool(other.turns))
            return
    if calibration is not None:
        note = f"calibration: {calibration}"
        yield Measurement("", "", NOT_ASSESSED, note=note, choice=CALIBRATION, option=plan.calibration)


def _by_rivals(
    case: Case,
    own: Collection[MapKey],
    rivals: Sequence[Rival],
    plan: Plan,
    references: References | None,
    atlas: NDArray[np.float64] | None,
) -> Iterator[Measurement]:
    """What is measured of the case's own maps by each network of another training; why not, where that fails on it."""
    for rival in rivals:
        try:
            anew = prepare(case, rival.classifier, plan, references, atlas)
        except Exception as error:  # a network may raise anything; the study's own numbers stand
            if is_out_of_memory(error) and plan.batch_size > 1:
                raise  # a smaller batch is tried
            note = f"{rival.name}: {in_full(error)}"
            yield Measurement("", "", NOT_ASSESSED, note=note, choice=NETWORK, option=rival.name)
        else:
            yield from measure_by_rival(plan, anew.evaluand, anew.made, own, rival.name)


def _is_own(key: MapKey, evaluand: Evaluand) -> bool:
    return key[0] in evaluand.maps and key[1] in FORMS


def prepare(
    case: Case,
    classifier: Classifier,
    plan: Plan,
    references: References | None,
    atlas: NDArray[np.float64] | None,
) -> Prepared:
    """Explain one case with every estimator and sort every map.

    Raises:
        TomolensError: a network that fails on this case, or for every estimator.
    """
    image = torch.from_numpy(case.image)
    predicted = int(classifier.predict(image[None])[0])
    turns = None if case.twin is None else turns_at(classifier, case.twin, predicted)
    # What the network does not notice is no evidence for its decision.
    told = case if turns else replace(case, twin=None, evidence=None)
    scene = scene_of(told, classifier, plan, atlas)
    explained = plan.class_of(predicted, case.label)
    explaining = partial(
        explain_each,
        targets=[explained],
        references=references,
        scenes=[scene],
        direction=plan.direction,
        seed=plan.seed,
        names=[case.name],
        batch_size=plan.batch_size,
    )
    # Of an image without the finding no map can know where it would be: there is no truth to compare with.
    beside = [one for one in drawable(plan, scene) if one is not TRUTH or told.evidence is not None]
    made = explaining(classifier, image[None], [*plan.estimators, *beside])
    failures = [made.failed.get(one.name) for one in plan.asking]
    if failures and all(failures):
        raise next(error for error in failures if error is not None)
    names = {one.name for one in plan.estimators}
    maps = {name: stack[0] for name, stack in made.maps.items()}
    own = {name: one for name, one in maps.items() if name in names}

    def again(shown: Tensor, by: Classifier, draws: str, target: int, seen: Scene | None) -> dict[str, Tensor]:
        shift, beside = by.intensity.black - classifier.intensity.black, scene if seen is None else seen
        remade = explaining(
            by,
            shown[None],
            plan.estimators,
            names=[f"{case.name} ({draws})" if draws else case.name],
            targets=[target],
            references=_raised(references, shift) if shift else references,
            scenes=[scene_raised(beside, shift) if shift else beside],
        )
        return {name: stack[0] for name, stack in remade.maps.items()}

    evaluand = Evaluand(
        name=case.name,
        seed=plan.seed,
        classifier=classifier,
        image=image,
        label=case.label,
        explained=explained,
        mask=case.mask,
        rankings=_ranked(maps, own, plan, case.name),
        body=np.asarray(scene.body),
        evidence=told.evidence,
        anatomy=scene.anatomy,
        structures=plan.structures,
        tissue=case.tissue,
        marker=None if case.unmarked is None else (case.unmarked != case.image).any(axis=0),
        settings=plan.metrics,
        batch_size=plan.batch_size,
        maps=own,
        completeness={name: float(errors[0]) for name, errors in made.completeness.items()} or None,
        explanations=again,
        twin=told.twin,
        spacing=scene.spacing,
        of_class_one=frozenset(one.name for one in plan.of_class_one) if plan.direction == "paper" else frozenset(),
        other=other_image(references, scene, explained, classifier, plan, case.name),
    )
    masked = next(one for one in (scene.fill, case.twin, case.image) if one is not None)
    means = tuple(float(channel.mean()) for channel in classifier.intensity.share(masked))
    return Prepared(evaluand, made, explaining, scene, predicted, turns, means)


def _raised(references: References | None, shift: float) -> References | None:
    """Training images on a scale that begins elsewhere."""
    return None if references is None else replace(references, images=references.images + shift)


def drawable(plan: Plan, scene: Scene) -> list[Estimator]:
    """What is measured beside the estimators, as far as all that it needs is there."""
    lacking = {need for need in ("fill", "body", "atlas", "twin") if getattr(scene, need) is None}
    return [one for one in plan.baselines if not one.needs & lacking]


def _of_estimators(explained: Explained, evaluand: Evaluand) -> Iterator[Measurement]:
    """Why an estimator has no map, what must be said of those that have one, and which are their own absolute."""
    for name, error in explained.failed.items():
        yield Measurement(name, "", NOT_ASSESSED, note=str(error))
    for name, words in explained.notes.items():
        yield Measurement(name, "", REMARK, note=words)
    for (name, form), ranked in evaluand.rankings.items():
        if form == "absolute":
            yield Measurement(name, form, SAME, float(ranked is evaluand.rankings[name, "original"]))


def of_network(case: Case, classifier: Classifier, predicted: int, turns: bool | None = None) -> list[Measurement]:
    """What concerns no map; a case that no metric applies to has these rows all the same."""
    numbers = {"correct": float(predicted == case.label)}
    if case.mask is not None and is_usable(case.mask):
        numbers["mask_share"] = float(case.mask.mean())
    if case.unmarked is not None:
        without = int(classifier.predict(torch.from_numpy(case.unmarked)[None])[0])
        numbers["correct_without_marker"] = float(without == case.label)
    if turns is not None:
        numbers[TWIN_TURNS] = float(turns)
    return [Measurement("", "", name, value, None) for name, value in numbers.items()]


def _ranked(maps: Mapping[str, Tensor], own: Mapping[str, Tensor], plan: Plan, name: str) -> dict[MapKey, RankedMap]:
    """Rankings of each estimator's map in its forms, blurred ones among them, and of each baseline's as it is.

    A map that is its own absolute, as one without negative values is, is sorted once.
    """
    rank = partial(rank_map, seed=plan.seed, name=name, channels=plan.metrics.channels)
    asking = {one.name for one in plan.asking}
    rankings: dict[MapKey, RankedMap] = {}
    for estimator, importance in maps.items():
        original = rank(importance)
        rankings[estimator, "original"] = original
        if estimator not in own:
            continue
        magnitude = absolute(importance)
        same = torch.equal(magnitude, importance) or plan.metrics.channels == "norm"  # which has no sign
        rankings[estimator, "absolute"] = original if same else rank(magnitude)
        if plan.blur and estimator in asking:
            values = magnitude.detach().cpu().double().numpy()
            rankings[estimator, BLURRED] = rank(blurred(values, plan.blur))
    return rankings
