"""Classifiers: a network plus what its output means, the paper's ResNet-50, its training and its weights."""

from .classifier import Classifier
from .intensity import Intensity

__all__ = ["Classifier", "Intensity"]
