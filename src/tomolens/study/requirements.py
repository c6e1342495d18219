"""What a study asks of its cases, before anything long starts."""

import numpy as np

from ..cases import Cases
from ..errors import SettingsError
from .settings import StudySettings
from .survey import Survey


def require_classes(settings: StudySettings, cases: Cases) -> None:
    """As many classes as the study names, and two of them among the cases."""
    count, labels = len(cases.classes), np.unique(cases.labels)
    if count != len(settings.cases.classes):
        raise SettingsError(f"the cases have {count} classes, cases.classes names {len(settings.cases.classes)}")
    if len(labels) < 2 or labels[0] < 0 or labels[-1] >= count:
        raise SettingsError(
            f"the cases have the labels {', '.join(map(str, labels))}, expected at least two of 0 to {count - 1}"
        )
    if settings.estimators.direction == "paper" and count != 2:
        raise SettingsError(f"estimators.direction = 'paper' is defined for two classes, not {count}")


def require_windows(settings: StudySettings, found: Survey) -> None:
    """Several windows are of a channel each; one may be that of all."""
    windows, channels = settings.cases.preprocessing.windows, found.shape[0]
    if len(windows) not in (1, channels):
        raise SettingsError(f"cases.window has {len(windows)} windows, a channel each, and the images have {channels}")


def require_twins(settings: StudySettings, found: Survey) -> None:
    """A case with a twin, where an estimator or a fill asks for one."""
    wanting = [one.name for one in settings.plan.estimators if "twin" in one.needs]
    fills = [settings.metrics.fill, *(settings.vary.fills if settings.vary else ())]
    fills = [one for fill in fills for one in (fill if isinstance(fill, tuple) else (fill,))]
    wanting += ["the fill 'twin'"] if "twin" in fills else []
    if wanting and not found.twins:
        raise SettingsError(
            f"{', '.join(wanting)}: no case of the study has a twin; simulated cases have one, and cases with "
            "cases.implant"
        )


def require_anatomy(settings: StudySettings, found: Survey) -> None:
    """A case with structures, where an estimator takes them for its parts."""
    wanting = [one.name for one in settings.plan.of_anatomy]
    if wanting and not found.structures:
        raise SettingsError(
            f"{', '.join(wanting)}: parts = 'anatomy', and no case of the study has structures; a manifest's column "
            "anatomy brings them"
        )
