"""The metrics there are."""

from .anatomy import ANATOMY, TISSUE
from .class_sensitivity import CLASS_SENSITIVITY
from .completeness import COMPLETENESS
from .complexity import COMPLEXITY
from .evaluand import MetricSettings
from .evidence import EVIDENCE, MARKER
from .f_fidelity import F_FIDELITY
from .fidelity import FIDELITY, FIDELITY_ROAD, FIDELITY_TWIN
from .information import INFORMATION
from .input_invariance import INPUT_INVARIANCE
from .irof import IROF
from .localisation import LOCALISATION
from .metric import Metric
from .overlap import OVERLAP
from .perturbed import PERTURBED
from .randomisation import RANDOMISATION
from .removal import REMOVAL
from .repeatability import REPEATABILITY
from .reproducibility import REPRODUCIBILITY
from .roc import ROC
from .smooth_randomisation import SMOOTH_RANDOMISATION
from .stability import STABILITY

METRICS: dict[str, Metric] = {
    one.name: one
    for one in (
        *(FIDELITY, FIDELITY_TWIN, ROC, OVERLAP, EVIDENCE, MARKER, COMPLETENESS),
        *(FIDELITY_ROAD, REMOVAL, PERTURBED, IROF, INFORMATION, F_FIDELITY, STABILITY, INPUT_INVARIANCE),
        *(LOCALISATION, COMPLEXITY, ANATOMY, TISSUE),
        *(RANDOMISATION, SMOOTH_RANDOMISATION, CLASS_SENSITIVITY, REPEATABILITY, REPRODUCIBILITY),
    )
}
PAPER = MetricSettings.names


def refines(settings: MetricSettings) -> bool:
    """Whether any metric that is asked for reads a refined network."""
    return any("refined" in METRICS[name].needs for name in settings.names)


SETS: dict[str, tuple[str, ...]] = {
    "paper": PAPER,
    "reviewer": (
        *PAPER,
        "road",
        "removal",
        "perturbed",
        "information",
        "randomisation",
        "class-sensitivity",
        "repeatability",
        "reproducibility",
        "localisation",
        "complexity",
        "anatomy",
        "tissue",
    ),
    "all": tuple(METRICS),
}
"""By the word for them in a study file: the protocol's, those that reviewers ask for by name, every one."""
