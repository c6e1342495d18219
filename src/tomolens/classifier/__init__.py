"""Classifiers: a network plus what goes in and what its output means, whence it comes, its training and its weights."""

from .classifier import Classifier
from .contract import InputContract
from .intensity import Intensity

__all__ = ["Classifier", "InputContract", "Intensity"]
