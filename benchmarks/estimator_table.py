"""The table of `docs/estimators.md`: what each estimator asks, which networks it is of, against what it is tested.

    python benchmarks/estimator_table.py > docs/estimators.md

Yes and no are found by making maps: of a convolutional network in two and in three dimensions, of one whose ReLUs are
functions, and of a vision transformer.
"""

import torch
from torch import nn

from tomolens.classifier import Classifier
from tomolens.classifier.architectures import make
from tomolens.estimators import GROUPS, References, Scene
from tomolens.estimators.estimator import Estimator
from tomolens.estimators.explain import explain_each

HEAD = """# The estimators

Written by `benchmarks/estimator_table.py`. Asked for a map of a 224 x 224 slice, at most: passes forward and back to
the image or to a layer (g), and forward alone (s). Yes and no: maps of a convolutional network in two and in three
dimensions, of one whose ReLUs are functions, and of a vision transformer; what cannot be made is refused, saying why.
Tests compare with the reference to rounding, in float64, and in two and three dimensions where it has both. A study
takes them by `names = [...]` in `[estimators]`, or by `set = "paper"`, `"common"` or `"all"`.

| estimator | source | asks | 2-D | 3-D | functional ReLU | ViT | tested against |
|---|---|---|---|---|---|---|---|"""
AGAINST = {
    "backpropagation": "captum",
    "deconvolution": "captum",
    "integrated-gradients": "captum",
    "integrated-gradients-bw": "captum",
    "integrated-gradients-twin": "completeness",
    "expected-gradients": "captum",
    "smoothgrad": "captum",
    "smoothgrad-squared": "captum",
    "random": "–",
    "input-x-gradient": "captum",
    "vargrad": "variance of autograd's gradients",
    "guided-backpropagation": "captum",
    "rectified-gradient": "a hidden layer by hand",
    "gradient-shap": "a linear network",
    "blur-integrated-gradients": "PAIR saliency",
    "guided-integrated-gradients": "PAIR saliency",
    "grad-cam": "captum, torchcam",
    "grad-cam-plus-plus": "the paper's formula, place by place",
    "hires-cam": "adds up to the score of a linear head",
    "layer-cam": "torchcam",
    "xgrad-cam": "torchcam",
    "eigen-cam": "eigenvectors by NumPy",
    "score-cam": "the paper's algorithm by hand",
    "ablation-cam": "the network cut in two",
    "guided-grad-cam": "captum",
    "occlusion": "captum",
    "rise": "its masks one by one",
    "feature-ablation": "captum",
    "lime": "scikit-learn",
    "kernel-shap": "Shapley values over all orders",
    "attention-rollout": "matrices of MONAI and transformers, by hand",
    "gradient-attention": "matrices of MONAI and transformers, by hand",
    "cdam": "hooks on MONAI and transformers",
    "smooth-cdam": "hooks on MONAI and transformers",
    "integrated-cdam": "hooks on MONAI and transformers",
}


class Functional(nn.Module):
    """ReLUs that are functions."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.out = nn.Conv2d(1, 4, 3), nn.Conv2d(4, 4, 3), nn.Linear(4, 2)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Two scores an image."""
        features = torch.relu(self.second(torch.relu(self.first(images))))
        scores: torch.Tensor = self.out(features.mean(dim=(2, 3)))
        return scores


def works(estimator: Estimator, network: nn.Module, spatial: tuple[int, ...]) -> str:
    """Whether it makes a map of a network."""
    images = torch.rand(1, 1, *spatial)
    references = References(torch.rand(2, 1, *spatial), [0, 1])
    scenes = [Scene(twin=torch.rand(1, *spatial).numpy())]
    made = explain_each(Classifier(network.eval(), "logits"), images, [estimator], references=references, scenes=scenes)
    return "no" if made.failed else "yes"


def main() -> None:
    """Print the table."""
    torch.manual_seed(0)
    sizes = {"spatial_dims": 2, "in_channels": 1, "num_classes": 2, "img_size": [32, 32]}
    vit = make(
        "monai:ViT", {**sizes, "patch_size": 8, "hidden_size": 12, "mlp_dim": 16, "num_layers": 2, "num_heads": 3}
    )
    flat, deep = (
        make("local", {"channels": 1, "neurons": 2, "dimensions": dimensions, "width": 4}) for dimensions in (2, 3)
    )
    networks = ((flat, (32, 32)), (deep, (16, 16, 16)), (Functional(), (32, 32)), (vit, (32, 32)))
    print(HEAD)
    for members in GROUPS.values():
        for estimator in (member() for member in members):
            cost = estimator.cost((1, 224, 224))
            asks = ", ".join(
                f"{count} {letter}"
                for count, letter in ((cost.gradients + cost.features, "g"), (cost.scores, "s"))
                if count
            )
            answers = [works(estimator, network, spatial) for network, spatial in networks]
            row = [f"`{estimator.name}`", estimator.source, asks or "nothing", *answers, AGAINST[estimator.name]]
            print(f"| {' | '.join(row)} |", flush=True)


if __name__ == "__main__":
    main()
