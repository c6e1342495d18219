"""Images with random pixels masked, so that a network that learns from them finds masked images nothing foreign."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from .coarse import enlarged

CELLS = 3
"""Of a mask along an axis at least, so that no image is masked whole."""


def random_mask(
    shape: Sequence[int],
    random: np.random.Generator,
    grain: int = 8,
    shares: tuple[float, float] = (0.0, 1.0),
    cells: int = 1,
) -> Tensor:
    """Pixels where smooth noise is lowest, bool ``(*spatial)``.

    Args:
        shape: of the image.
        random: of the noise, and of how much is masked.
        grain: about so many pixels across are its areas; 1 for pixels that are masked one by one.
        shares: least and largest share of the pixels, between which it is drawn; more where the noise is even, as
            in corners.
        cells: of the noise along each axis, at least.
    """
    coarse = [max(side // grain, cells) for side in shape]
    noise = enlarged(torch.from_numpy(random.random(coarse, dtype=np.float32)), shape)
    share = shares[0] + (shares[1] - shares[0]) * random.random()
    return noise <= torch.quantile(noise.flatten()[:: 1 + noise.numel() // 10_000], share)


@dataclass(frozen=True)
class Perturbation:
    """How images are perturbed: some of their pixels become the mean of their channel, which tells of no class.

    Attributes:
        chance: that an image is.
        shares: least and largest share of its pixels.
        grains: of the masks, in pixels; one is drawn for each image.
    """

    chance: float = 0.5
    shares: tuple[float, float] = (0.0, 0.5)
    grains: tuple[int, ...] = (1, 4, 16)

    def apply(self, images: Tensor, random: np.random.Generator) -> Tensor:
        """Images ``(N, C, *spatial)``, perturbed; the channels of an image alike."""
        return torch.stack([self._one(image, random) for image in images])

    def _one(self, image: Tensor, random: np.random.Generator) -> Tensor:
        if random.random() >= self.chance:
            return image
        grain = self.grains[int(random.integers(len(self.grains)))]
        hidden = random_mask(image.shape[1:], random, grain, self.shares, CELLS).to(image.device)
        means = image.mean(dim=tuple(range(1, image.ndim)), keepdim=True)
        return torch.where(hidden, means, image)


AUGMENTING = Perturbation()
"""Feature perturbation augmentation (Brocki & Chung 2023, arXiv 2303.01538), whose published code masks half of the
batches: single pixels and boxes up to a share drawn between 0 and 0.3, or one rectangle of up to 0.4."""
REMOVING = Perturbation(chance=1.0, shares=(0.1, 0.1), grains=(1,))
"""Of every image one pixel in ten, each by itself: that of F-Fidelity (Zheng et al. 2025, arXiv 2410.02970)."""
