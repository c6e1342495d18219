"""A network that the user's own code makes: a function of a Python file, named explicitly."""

import importlib.util
import sys
from types import ModuleType

from torch import nn

from ...errors import NetworkError
from .source import Loaded, NetworkSource


def read_factory(source: NetworkSource) -> Loaded:
    """The network that the function returns, in eval mode; it is called without arguments."""
    module = _module(source)
    function = getattr(module, source.name, None)
    if not callable(function):
        known = ", ".join(name for name, one in vars(module).items() if callable(one) and not name.startswith("_"))
        raise NetworkError(f"{source.path}: has no function '{source.name}'; it has {known or 'none'}")
    try:
        made = function()
    except Exception as error:  # the user's code may raise anything
        raise NetworkError(f"{source.path}: {source.name}() raised {type(error).__name__}: {error}") from error
    if not isinstance(made, nn.Module):
        raise NetworkError(f"{source.path}: {source.name}() returned {type(made).__name__}, expected an nn.Module")
    return Loaded(made.eval())


def _module(source: NetworkSource) -> ModuleType:
    """The file as a module under a name of its own, so that its classes can be found again."""
    name = f"tomolens_network_{source.hash}"
    if name in sys.modules:
        return sys.modules[name]
    described = importlib.util.spec_from_file_location(name, source.path)
    if described is None or described.loader is None:
        raise NetworkError(f"{source.path}: is no Python file")
    module = importlib.util.module_from_spec(described)
    sys.modules[name] = module
    try:
        described.loader.exec_module(module)
    except Exception as error:  # the user's code may raise anything
        del sys.modules[name]
        raise NetworkError(f"{source.path}: raised {type(error).__name__}: {error}") from error
    return module
