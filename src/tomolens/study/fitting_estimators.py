"""Which of the default estimators a study can do, and why not the others."""

from ..errors import SettingsError
from ..estimators.answers import OF_PATCHES
from ..estimators.registry import OF_SCORES
from .settings import StudySettings


def without_references(settings: StudySettings) -> tuple[StudySettings, dict[str, str]]:
    """A study without training images, and the estimators that it leaves out for want of them, with the reason.

    Only those of the default list are left out: who names one, or gives it parameters, means it.

    Raises:
        SettingsError: a named estimator that draws training images.
    """
    chosen = settings.estimators
    made = zip(chosen.names, chosen.make(), strict=True)
    drawing = [name for name, estimator in made if "references" in estimator.needs]
    if not drawing:
        return settings, {}
    if chosen.named or chosen.parameters.keys() & set(drawing):
        raise SettingsError(
            f"{drawing[0]} draws training images and the study has none: mark some cases as train (in the manifest's "
            "split column, or with split=[...]), or leave this estimator out of estimators.names"
        )
    left = tuple(name for name in chosen.names if name not in drawing)
    fitting = settings.model_copy(update={"estimators": chosen.model_copy(update={"names": left})})
    return fitting, dict.fromkeys(drawing, "it draws training images, and the study has none")


def without_gradients(settings: StudySettings, forward_only: str) -> tuple[StudySettings, dict[str, str]]:
    """A study of a network that gives no gradients, and the estimators that it leaves out for that, with the reason.

    Those of the default list give way to those that ask for scores alone; who names others means them.

    Args:
        settings: of the study.
        forward_only: why the network gives none.

    Raises:
        SettingsError: a named estimator that asks for gradients.
    """
    chosen = settings.estimators
    made = zip(chosen.names, chosen.make(), strict=True)
    asking = [name for name, one in made if (cost := one.cost((1, 64, 64))).gradients or cost.features]
    if not asking:
        return settings, {}
    if chosen.named or chosen.parameters.keys() & set(asking):
        raise SettingsError(
            f"{', '.join(asking)}: the network gives no gradients ({forward_only}); estimators.names may have "
            f"{', '.join(OF_SCORES)}"
        )
    names = tuple(name for name in chosen.names if name not in asking) if chosen.set else OF_SCORES
    fitting = settings.model_copy(update={"estimators": chosen.model_copy(update={"names": names})})
    return fitting, dict.fromkeys(asking, f"the network gives no gradients ({forward_only})")


def without_layers(settings: StudySettings) -> tuple[StudySettings, dict[str, str]]:
    """A study of a network of patches, and the estimators of its set that ask for what layers put out, with the reason.

    Raises:
        SettingsError: a named estimator that asks for that.
    """
    chosen = settings.estimators
    made = zip(chosen.names, chosen.make(), strict=True)
    asking = [name for name, one in made if one.cost((1, 64, 64)).features]
    if not asking:
        return settings, {}
    if chosen.named or chosen.parameters.keys() & set(asking):
        raise SettingsError(f"{', '.join(asking)}: {OF_PATCHES}; leave them out of estimators.names")
    names = tuple(name for name in chosen.names if name not in asking)
    fitting = settings.model_copy(update={"estimators": chosen.model_copy(update={"names": names})})
    return fitting, dict.fromkeys(asking, OF_PATCHES)


def without_twins(settings: StudySettings) -> tuple[StudySettings, dict[str, str]]:
    """A study without twins, and the estimators of its set that it leaves out for want of them, with the reason."""
    chosen = settings.estimators
    looking = [name for name, one in zip(chosen.names, chosen.make(), strict=True) if "twin" in one.needs]
    if chosen.set is None or not looking or chosen.parameters.keys() & set(looking):
        return settings, {}
    names = tuple(name for name in chosen.names if name not in looking)
    fitting = settings.model_copy(update={"estimators": chosen.model_copy(update={"names": names})})
    return fitting, dict.fromkeys(looking, "it compares with the image's twin, and no case has one")
