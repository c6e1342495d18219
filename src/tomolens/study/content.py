"""What a study's folder holds of its settings, and by what it is known for the same study."""

import json
from collections.abc import Mapping
from typing import Any

from ..metrics.registry import refines
from .classifier_settings import RefiningSettings
from .settings import NOT_IN_THE_NUMBERS, StudySettings

ADDED: Mapping[tuple[str, ...], Any] = {
    ("cases", "anatomy"): None,
    ("cases", "anatomy_names"): {},
    ("cases", "dimensions"): 2,
    ("cases", "crop"): None,
    ("repeat", "architectures"): [],
    ("classifier", "recipe", "perturb"): False,
    ("classifier", "pretraining", "recipe", "perturb"): False,
    ("classifier", "refining"): RefiningSettings().model_dump(mode="json"),
}
"""Settings that older studies do not have, with the value that changes nothing: then they are not written, so that a
study of before is known for the same."""


def content_of(settings: StudySettings) -> dict[str, Any]:
    """All settings that decide the numbers, as ``study.json`` holds them."""
    content: dict[str, Any] = json.loads(settings.model_dump_json(exclude=NOT_IN_THE_NUMBERS))
    for (*path, name), usual in ADDED.items():
        if name == "refining" and refines(settings.plan.metrics):
            continue  # no older study measured what needs it
        section: Any = content
        for part in path:
            section = None if section is None else section[part]
        if section is not None and section[name] == usual:
            del section[name]
    return content
