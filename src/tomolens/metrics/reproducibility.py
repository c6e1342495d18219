"""Whether maps are reproducible: the same image by networks of other trainings (Arun et al. 2021).

Arun et al., doi 10.1148/ryai.2021200267, call a map repeatable that another training of the same architecture makes
again, and reproducible one that another architecture makes again. Networks of the same architecture differ here in the
seed of their training, and share what they were pretrained to where they were.
"""

from collections.abc import Iterator

from ..declarations import Declaration, Output
from .evaluand import Evaluand
from .likeness import alike_beyond, magnitudes
from .metric import Metric, Reading


def measure_reproducibility(evaluand: Evaluand) -> Iterator[Reading]:
    """Likeness of each estimator's magnitudes to those by other trainings, and to those of another image."""
    assert evaluand.rivals is not None
    own, pairs = magnitudes(evaluand.maps), evaluand.of_another_image
    others = [magnitudes(evaluand.explain(classifier=one.classifier, draws=one.name)) for one in evaluand.rivals]
    for name, values in own.items():
        if name not in pairs:
            continue  # an estimator that fails on one of these costs its own numbers alone
        for begins, anew in (("repeat", False), ("architecture", True)):
            of = [made for made, one in zip(others, evaluand.rivals, strict=True) if bool(one.architecture) == anew]
            if not of or any(name not in one for one in of):
                continue
            for output, value in alike_beyond(begins, values, [one[name] for one in of], pairs[name]):
                yield (name, "original"), output, value


REPRODUCIBILITY = Metric(
    Declaration(
        "reproducibility",
        (
            Output("repeat_similarity", "like another training's (Spearman)", criterion="again"),
            Output("repeat_ssim", "like another training's (SSIM)"),
            Output("repeat_hog", "like another training's (HOG)"),
            Output("repeat_margin", "margin of another training over another image's", answers="repeatable"),
            Output("architecture_similarity", "like another architecture's (Spearman)", criterion="again"),
            Output("architecture_ssim", "like another architecture's (SSIM)"),
            Output("architecture_hog", "like another architecture's (HOG)"),
            Output("architecture_margin", "margin of another architecture over another image's"),
        ),
    ),
    measure_reproducibility,
    needs=frozenset({"explanations", "other", "rivals"}),
    explanations=1,
)
