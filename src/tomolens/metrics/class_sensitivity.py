"""Whether maps depend on the class that they explain: the random logit test (Sixt et al. 2020, arXiv 1912.09818).

Defined where each class has a score of its own. Of one neuron that decides between two classes, and of their
probabilities, it is not measured: the map of one class is that of the other with the sign turned. Neither are
estimators that explain class 1 whichever is asked for, as in the paper's direction.
"""

from collections.abc import Iterator

from ..declarations import Declaration, Output
from .evaluand import Evaluand
from .likeness import alike, magnitudes, rank_correlation
from .metric import Metric, Reading


def measure_class_sensitivity(evaluand: Evaluand) -> Iterator[Reading]:
    """Likeness of each estimator's map to that of another class, with its sign and by its magnitudes."""
    made = evaluand.explain(target=evaluand.another_class)
    own, other = magnitudes(evaluand.maps), magnitudes(made)
    for name, values in own.items():
        if name not in other or name in evaluand.of_class_one:
            continue
        key = (name, "original")
        signed = [one[name].detach().cpu().double().numpy() for one in (evaluand.maps, made)]
        yield key, "class_signed", rank_correlation(*signed)
        for output, value in alike("class", values, [other[name]]):
            yield key, output, value


CLASS_SENSITIVITY = Metric(
    Declaration(
        "class-sensitivity",
        (
            Output("class_similarity", "like another class's (Spearman)", better="lower"),
            Output("class_ssim", "like another class's (SSIM)", better="lower"),
            Output("class_hog", "like another class's (HOG)", better="lower"),
            Output("class_signed", "like another class's, with its sign (Spearman)", better="lower"),
        ),
    ),
    measure_class_sensitivity,
    needs=frozenset({"explanations", "another_class", "scores"}),
    images_a_case=lambda settings: 1,
    explanations=1,
)
