"""What is declared is what is imported, and the floors are those that `make test-lowest` installs."""

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from tomolens.cases.dicom.pixels import DECODERS

PROVIDED_BY = {"PIL": "pillow"}
"""Distributions of modules that several distributions, or another name, provide."""
PLUGINS = {"gdcm": "python-gdcm", "pylibjpeg": "pylibjpeg"}
"""Distributions of the decoders that pydicom loads by these names."""
ONE_BUILD = "torch"
"""Only its pinned build is to be had without a GPU: its floor is not tested."""


def normal(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def floors(requirements):
    found = dict(re.fullmatch(r"([\w.-]+)>=([\w.]+)", requirement).groups() for requirement in requirements)
    return {normal(name): floor for name, floor in found.items()}


@pytest.fixture
def project(request):
    return tomllib.loads((request.config.rootpath / "pyproject.toml").read_text())["project"]


def imported(root):
    """The top-level modules that the sources import from elsewhere, with a file that does."""
    found = {}
    for file in Path(root, "src").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and not node.level:
                names = [node.module]
            found.update({name.split(".")[0]: file.name for name in names})
    return {name: file for name, file in found.items() if name not in sys.stdlib_module_names | {"tomolens"}}


def test_every_import_is_declared(request, project):
    extras = [one for name, extra in project["optional-dependencies"].items() if name != "test" for one in extra]
    declared = set(floors(project["dependencies"] + extras))
    provided = packages_distributions()
    modules = imported(request.config.rootpath)
    assert {"numpy", "torch", "pydicom", "PIL"} <= set(modules)  # the walk sees them
    for module, file in modules.items():
        names = {PROVIDED_BY.get(module, module), *provided.get(module, ())}
        assert declared & set(map(normal, names)), f"{file} imports {module}, which pyproject.toml does not declare"


def test_every_decoder_is_declared(project):
    declared = floors(project["dependencies"])
    for plugin in {*DECODERS.values(), "gdcm"}:  # GDCM decodes in a process of its own
        assert normal(PLUGINS.get(plugin, plugin)) in declared, plugin


def test_the_floors_are_the_versions_of_the_lowest_environment(request, project):
    pinned, brought = (request.config.rootpath / "constraints-lowest.txt").read_text().split("# What these bring")
    lowest = dict(line.split("==") for line in pinned.splitlines() if not line.startswith("#"))
    lowest = {normal(name): version for name, version in lowest.items()}
    declared = floors(project["dependencies"])
    for extra in project["optional-dependencies"].values():
        for name, floor in floors(extra).items():
            assert declared.setdefault(name, floor) == floor, name
    assert lowest.pop(ONE_BUILD) in (request.config.rootpath / "constraints.txt").read_text()
    assert tuple(map(int, declared.pop(ONE_BUILD).split("."))) >= (2, 10)
    assert lowest == declared
    others = {normal(line.split("==")[0]) for line in brought.splitlines()[1:]}
    assert not others & set(declared)
