"""Classifiers: a network plus what its output means, the paper's ResNet-50, its training and its weights."""

from .classifier import Classifier

__all__ = ["Classifier"]
