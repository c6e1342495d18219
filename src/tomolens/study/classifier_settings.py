"""The network of a study file: how it is trained, or which one is given."""

from typing import Annotated

from pydantic import ConfigDict, Field, with_config

from ..classifier.patches import Patches
from ..classifier.training import Recipe
from .section import Count, Section

for _plain in (Recipe, Patches):
    with_config(ConfigDict(extra="forbid", allow_inf_nan=False))(_plain)


class PretrainingSettings(Section):
    """Simulated cases on which the network is trained before it sees real ones."""

    cases: Count = 240
    recipe: Recipe = Recipe()


class RefiningSettings(Section):
    """How a copy of the network goes on learning from randomly masked images, for the metric ``f-fidelity``."""

    epochs: Count = 5
    learning_rate: Annotated[float, Field(ge=1e-9, le=10.0)] = 1e-4


class ClassifierSettings(Section):
    """How the network is trained, unless one is given.

    ``network`` is the ``network.toml`` of one that is given (see `tomolens model check`), seen from the study file's
    folder, and ``label`` which of its labels is studied, where it has several. ``patches`` shows it whole images by a
    window that slides over them, where it was trained on patches.
    """

    network: str = ""
    label: str = ""
    patches: Patches | None = None
    recipe: Recipe = Recipe()
    pretraining: PretrainingSettings | None = None
    refining: RefiningSettings = RefiningSettings()
