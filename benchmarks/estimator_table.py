"""The table of `docs/estimators.md`: what each estimator asks, which networks it is of, against what it is tested.

    python benchmarks/estimator_table.py > docs/estimators.md

Yes and no are found by making maps: of a convolutional network in two and in three dimensions, of one whose ReLUs are
functions, and of a vision transformer.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

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
Tests compare with the reference in float64, and in two and three dimensions where it has both: the largest difference
that they found, as a share of the largest value. A study takes them by `names = [...]` in `[estimators]`, or by
`set = "paper"`, `"common"` or `"all"`. Any of them is averaged over noisy copies of the image as `smooth:NAME`;
DeepLIFT, DeepSHAP and captum's others are `captum:NAME`.

| estimator | source | asks | 2-D | 3-D | functional ReLU | ViT | tested against | differs by |
|---|---|---|---|---|---|---|---|---|"""
OF_TOKENS = "MONAI's and transformers' matrices, by hand"
AGAINST: dict[str, tuple[str, str]] = {
    "backpropagation": ("captum", "references: backpropagation"),
    "deconvolution": ("captum", "references: deconvolution_of_a_network_of_modules"),
    "integrated-gradients": ("captum", "references: integrated_gradients_for_both_references, gauss_legendre"),
    "integrated-gradients-bw": ("captum", "references: integrated_gradients_for_both_references"),
    "integrated-gradients-twin": ("captum", "references: integrated_gradients_from_the_twin"),
    "expected-gradients": ("captum", "references: expected_gradients_with_the_same_draws"),
    "smoothgrad": ("captum", "references: smoothgrad_with_the_same_noise"),
    "smoothgrad-squared": ("captum", "references: smoothgrad_with_the_same_noise"),
    "random": ("–", ""),
    "input-x-gradient": ("captum", "paths: input_times_gradient_is_captums"),
    "vargrad": ("variance of autograd's gradients", "paths: vargrad_is_the_variance_of_the_gradients_of_smoothgrad"),
    "guided-backpropagation": ("captum", "guided: guided_backpropagation_is_captums"),
    "rectified-gradient": ("a hidden layer by hand", "guided: rectified_gradient_passes_what_matters_most"),
    "lrp": ("captum; every layer as a matrix", "lrp: it_is_captums, it_is_what_the_matrices_say"),
    "gradient-shap": ("captum", "references: gradient_shap_with_the_same_draws"),
    "blur-integrated-gradients": ("PAIR saliency", "paths: blurred_integrated_gradients_are_pairs"),
    "guided-integrated-gradients": ("PAIR saliency", "paths: guided_integrated_gradients_are_pairs"),
    "grad-cam": ("captum, torchcam", "activation_maps: grad_cam_is_captums_with_its_sign, they_are_torchcams"),
    "grad-cam-plus-plus": ("the paper's formula, place by place", "activation_maps: grad_cam_plus_plus_is_the_papers"),
    "hires-cam": ("a linear head's score", "activation_maps: hires_cam_adds_up_to_the_score_of_a_linear_head"),
    "layer-cam": ("torchcam", "activation_maps: they_are_torchcams"),
    "xgrad-cam": ("torchcam", "activation_maps: they_are_torchcams"),
    "eigen-cam": ("eigenvectors by NumPy", "activation_maps: eigen_cam_is_the_first_component_of_the_planes"),
    "score-cam": ("the paper's algorithm by hand", "activation_maps: score_cam_is_its_algorithm"),
    "ablation-cam": (
        "the network cut in two",
        "activation_maps: ablation_cam_weighs_planes_by_what_the_score_loses",
    ),
    "guided-grad-cam": ("captum", "activation_maps: guided_grad_cam_is_captums"),
    "occlusion": (
        "captum; windows one by one",
        "references: occlusion, occlusion_of_volumes; perturbation: windows_become_what_the_fill_says",
    ),
    "rise": ("its masks one by one", "perturbation: rise_is_the_mean_of_its_masks_by_the_score"),
    "feature-ablation": ("captum", "perturbation: feature_ablation_is_captums"),
    "lime": ("scikit-learn", "perturbation: lime_is_its_fit, ridge_regression_is_scikit_learns"),
    "kernel-shap": ("Shapley values over all orders", "perturbation: all_coalitions_give_shapleys_values"),
    "attention-rollout": (OF_TOKENS, "attention: attention_rollout_is_followed_by_hand"),
    "gradient-attention": (OF_TOKENS, "attention: gradient_attention_is_followed_by_hand"),
    "cdam": (OF_TOKENS, "attention: cdam_is_tokens_times_gradient"),
    "smooth-cdam": (OF_TOKENS, "attention: smooth_cdam_is_the_mean_over_noisy_tokens"),
    "integrated-cdam": (OF_TOKENS, "attention: integrated_cdam_goes_from_nothing"),
}
"""What each is compared with, and by which tests: modules ``tests/test_estimators_X.py`` and functions in them."""


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


def tests_of(name: str) -> list[str]:
    """The tests that compare an estimator with its reference, as pytest names them."""
    found = []
    for part in filter(None, AGAINST[name][1].split("; ")):
        module, functions = part.split(": ")
        found += [f"tests/test_estimators_{module}.py::test_{one}" for one in functions.split(", ")]
    return found


def differences() -> dict[str, float]:
    """The largest difference that each of these tests finds, by running them."""
    wanted = sorted({test for name in AGAINST for test in tests_of(name)})
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "differences.json"
        command = [sys.executable, "-m", "pytest", "-q", "--no-header", "-n", "0", "--differences", str(file), *wanted]
        subprocess.run(command, check=True, cwd=Path(__file__).parents[1], stdout=sys.stderr)
        found: dict[str, float] = json.loads(file.read_text())
    return found


def main() -> None:
    """Print the table."""
    found = differences()
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
            compared = [found[test] for test in tests_of(estimator.name)]
            differs = f"{max(compared):.0e}" if compared else "–"
            words, _ = AGAINST[estimator.name]
            row = [f"`{estimator.name}`", estimator.source, asks or "nothing", *answers, words, differs]
            print(f"| {' | '.join(row)} |", flush=True)


if __name__ == "__main__":
    main()
