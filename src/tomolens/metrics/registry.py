"""The metrics there are."""

from .completeness import COMPLETENESS
from .complexity import COMPLEXITY
from .evaluand import MetricSettings
from .evidence import EVIDENCE, MARKER
from .f_fidelity import F_FIDELITY
from .fidelity import FIDELITY, FIDELITY_ROAD, FIDELITY_TWIN
from .information import INFORMATION
from .irof import IROF
from .localisation import LOCALISATION
from .metric import Metric
from .overlap import OVERLAP
from .perturbed import PERTURBED
from .randomisation import RANDOMISATION
from .removal import REMOVAL
from .reproducibility import REPRODUCIBILITY
from .roc import ROC
from .stability import STABILITY

METRICS: dict[str, Metric] = {
    one.name: one
    for one in (
        *(FIDELITY, FIDELITY_TWIN, ROC, OVERLAP, EVIDENCE, MARKER, COMPLETENESS),
        *(FIDELITY_ROAD, REMOVAL, PERTURBED, IROF, INFORMATION, RANDOMISATION, REPRODUCIBILITY, STABILITY),
        *(LOCALISATION, COMPLEXITY, F_FIDELITY),
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
        "reproducibility",
        "localisation",
        "complexity",
    ),
    "all": tuple(METRICS),
}
"""By the word for them in a study file: the protocol's, those that reviewers ask for by name, every one."""
