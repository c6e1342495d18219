"""Whether a map foretells what masking parts of an image does to the score: infidelity, sensitivity-n, monotonicity.

Parts are those of `regions.parts`: segments of a slice or volume. All maps of a case see the same masked
images.
"""

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import spearmanr

from ..declarations import Declaration, Output
from ..randomness import generator
from ..regions.parts import MOST, parts
from .evaluand import Evaluand, MetricSettings
from .metric import Metric, Reading

SETS = 64
"""Random sets of parts."""
SHARES = (0.1, 0.3, 0.5, 0.7, 0.9)
"""Of the parts in them; as many sets of each."""
Values = NDArray[np.float64]


def infidelity(told: Values, lost: Values) -> float:
    """Mean square of what a map says too much or too little of the score's loss, as a share of that of saying nothing.

    E[(beta I m - (S(x) - S(x - I)))^2] / E[(S(x) - S(x - I))^2] with the best beta of 0 or more: 0 of a map that
    foretells every loss, 1 of one that foretells none. Yeh et al. 2019, arXiv 1901.09392, definition 2.1, section 2.3.

    Args:
        told: I m, the map times what is taken off the image, ``(sets,)``.
        lost: of the score, ``(sets,)``.
    """
    power, whole = (told**2).sum(), (lost**2).sum()
    if whole == 0:
        return float("nan")
    scale = max(0.0, (told * lost).sum() / power) if power > 0 else 0.0  # below 0 it would turn the map round
    return float(((scale * told - lost) ** 2).sum() / whole)


def sensitivity_n(sums: Values, lost: Values, sizes: NDArray[np.integer]) -> float:
    """Mean over sizes of sets of Pearson's correlation of what a map sums up to in a set with what masking it loses.

    Ancona et al. 2018, arXiv 1711.06104, section 4. NaN where either is the same for all sets of every size.

    Args:
        sums: of the map over each set, ``(sets,)``.
        lost: of the score, ``(sets,)``.
        sizes: of each set, in parts.
    """
    found = []
    for size in np.unique(sizes):
        one, other = sums[sizes == size], lost[sizes == size]
        if len(one) > 2 and _varies(one) and _varies(other):
            found.append(np.corrcoef(one, other)[0, 1])
    return float(np.mean(found)) if found else float("nan")


def monotonicity(magnitudes: Values, changed: Values) -> float:
    """Spearman's correlation of each part's mean magnitude with the square of what masking it changes.

    NaN where either is the same for all parts.

    Nguyen & Martinez 2020, arXiv 2007.07584, section 3.2, with one fill in place of an expectation over many.
    """
    if len(magnitudes) < 3 or not _varies(magnitudes) or not _varies(changed):
        return float("nan")
    return float(spearmanr(magnitudes, changed**2).statistic)


def measure_perturbed(evaluand: Evaluand) -> Iterator[Reading]:
    """Infidelity, sensitivity-n and monotonicity of each estimator's map as it is."""
    labels = parts(evaluand.classifier.intensity.share(evaluand.image.cpu().numpy()), evaluand.spacing).ravel()
    count = int(labels.max()) + 1
    random = generator(evaluand.seed, evaluand.name, "perturbed")
    sizes = np.array([max(1, round(SHARES[k % len(SHARES)] * count)) for k in range(SETS)])
    sets = np.stack([np.isin(np.arange(count), random.permutation(count)[:size]) for size in sizes])
    each = np.eye(count, dtype=bool)
    sizes_of_parts = np.bincount(labels, minlength=count)
    lost, told = _masked(evaluand, labels, np.concatenate([sets, each]))
    for (name, values), foretold in zip(evaluand.maps.items(), told.T, strict=True):
        plane = values.detach().cpu().double().sum(dim=0).numpy().ravel()
        key, of_sets = (name, "original"), lost[: len(sets)]
        yield key, "infidelity", infidelity(foretold[: len(sets)], of_sets)
        yield key, "sensitivity_n", sensitivity_n(sets @ _sums(labels, plane, count), of_sets, sizes)
        yield key, "monotonicity", monotonicity(_sums(labels, np.abs(plane), count) / sizes_of_parts, lost[len(sets) :])


def _varies(values: Values) -> bool:
    """By more than rounding."""
    return bool(np.ptp(values) > 1e-9 * np.abs(values).max())


def _sums(labels: NDArray[np.int64], values: Values, count: int) -> Values:
    """Over the pixels of each part."""
    return np.asarray(np.bincount(labels, values, count), dtype=np.float64)


def _masked(evaluand: Evaluand, labels: NDArray[np.int64], sets: NDArray[np.bool_]) -> tuple[Values, Values]:
    """What the explained class's score loses by each set, ``(sets,)``, and what each map says, ``(sets, maps)``."""
    masking = evaluand.imputer(evaluand.settings.fill)
    image = masking.image
    maps = torch.stack([one.detach().to(image.device).double().flatten() for one in evaluand.maps.values()], dim=1)
    scores, told = [], []
    for at in range(0, len(sets), evaluand.batch_size):
        hidden = torch.from_numpy(sets[at : at + evaluand.batch_size][:, labels]).to(image.device)
        made = masking.fill(hidden.reshape(-1, *image.shape[1:]))
        scores.append(evaluand.scores(made)[:, evaluand.explained])
        told.append(((image - made).flatten(1).double() @ maps).cpu().numpy())
    whole = evaluand.scores(image[None])[0, evaluand.explained]
    return (whole - np.concatenate(scores)).astype(np.float64), np.concatenate(told)


def _images(settings: MetricSettings) -> int:
    return SETS + MOST + 1


PERTURBED = Metric(
    Declaration(
        "perturbed",
        (
            Output("infidelity", "infidelity", better="lower"),
            Output("sensitivity_n", "sensitivity-n"),
            Output("monotonicity", "monotonicity"),
        ),
    ),
    measure_perturbed,
    needs=frozenset({"scores"}),
    depends_on=frozenset({"fill"}),
    images_a_case=_images,
)
