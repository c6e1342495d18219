"""The metrics there are."""

from .completeness import COMPLETENESS
from .evidence import EVIDENCE, MARKER
from .fidelity import FIDELITY, FIDELITY_TWIN
from .metric import Metric
from .overlap import OVERLAP
from .roc import ROC

METRICS: dict[str, Metric] = {
    one.name: one for one in (FIDELITY, FIDELITY_TWIN, ROC, OVERLAP, EVIDENCE, MARKER, COMPLETENESS)
}
