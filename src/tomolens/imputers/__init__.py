"""What parts of an image become when they are masked, occluded or left out."""

from .fills import Fill, Imputer, fill_image, imputer, require_fill

__all__ = ["Fill", "Imputer", "fill_image", "imputer", "require_fill"]
