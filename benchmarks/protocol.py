"""The whole protocol for one slice (ResNet-50, 16 maps, three metrics) against the same glued from neighbours."""

import argparse
from dataclasses import replace

import captum.attr
import numpy as np
import torch
from saliency.core.xrai import XRAI, _get_segments_felzenszwalb
from sklearn.metrics import average_precision_score, f1_score, roc_auc_score

from side_by_side import in_turn, slice_of
from tomolens.cases import Preprocessing, phantom
from tomolens.classifier import Classifier
from tomolens.classifier.architectures import build
from tomolens.estimators import References, make_estimator
from tomolens.estimators.registry import PROTOCOL
from tomolens.metrics.evaluand import MetricSettings
from tomolens.study.evaluate import evaluate
from tomolens.study.plan import Plan
from tomolens.study.references import masked_references

BATCH, STEPS = 16, 40


def main() -> None:
    """Measure one size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("size", nargs="?", type=int, default=224)
    size = parser.parse_args().size
    torch.manual_seed(0)
    network = build("resnet50").eval().requires_grad_(False)
    case = slice_of(size, index=1)
    image = torch.from_numpy(case.image)[None]
    training = phantom.cases(16, seed=4, preprocessing=Preprocessing(size=size))
    references = References(torch.from_numpy(training.images()), torch.from_numpy(training.labels))
    plan = Plan(0, tuple(map(make_estimator, PROTOCOL)), "class", MetricSettings(), BATCH)
    example = image.expand(BATCH, 1, size, size).contiguous()
    folded = Classifier(network).with_folded(example)
    masked = masked_references(references, plan, folded.intensity)
    classifier = replace(folded.quickened(example, 10**6, masked=lambda: masked), sparing=True)
    told = classifier.quick.told if classifier.quick else "plain"
    print(f"protocol, {size} x {size}: decisions by {told}", flush=True)

    def glued_maps() -> dict[str, torch.Tensor]:
        along = {"method": "riemann_right", "n_steps": 25, "internal_batch_size": BATCH}
        gradients = captum.attr.IntegratedGradients(network)
        noisy = captum.attr.NoiseTunnel(captum.attr.Saliency(network))
        black = gradients.attribute(image, baselines=0.0, **along)
        both = [gradients.attribute(image, baselines=value, **along) for value in (0.0, 1.0)]
        return {
            "backpropagation": captum.attr.Saliency(network).attribute(image, abs=False),
            "deconvolution": captum.attr.Deconvolution(network).attribute(image),
            "integrated-gradients": black,
            "integrated-gradients-bw": (both[0] + both[1]) / 2,
            "expected-gradients": captum.attr.GradientShap(network).attribute(
                image, baselines=references.images, n_samples=25
            ),
            "smoothgrad": noisy.attribute(image, nt_type="smoothgrad", nt_samples=15, stdevs=0.15, abs=False),
            "smoothgrad-squared": noisy.attribute(
                image, nt_type="smoothgrad_sq", nt_samples=15, stdevs=0.15, abs=False
            ),
            "random": torch.rand_like(image),
        }

    def glued_fidelity(importance: np.ndarray) -> None:
        order = np.argsort(importance.ravel())
        for masked_first in (order[::-1], order):
            masked = []
            for count in np.linspace(0, order.size, STEPS + 1).astype(int):
                one = image.clone().reshape(-1)
                one[torch.from_numpy(masked_first[:count].copy())] = 0.0
                masked.append(one.reshape(1, 1, size, size))
            with torch.inference_mode():
                for start in range(0, len(masked), BATCH):
                    network(torch.cat(masked[start : start + BATCH]))

    def glued() -> None:
        maps = glued_maps()
        for one in maps.values():
            for importance in (one.detach().numpy()[0, 0], one.detach().abs().numpy()[0, 0]):
                glued_fidelity(importance)
                scores, truth = importance.ravel(), case.mask.ravel()
                roc_auc_score(truth, scores)
                average_precision_score(truth, scores)
                segments = _get_segments_felzenszwalb(case.image[0].astype(np.float64))
                region = XRAI._xrai(importance.astype(np.float64), segments)[0].ravel()
                for percent in range(1, 101):
                    f1_score(truth, region >= np.percentile(region, 100 - percent))

    small = References(torch.rand(8, 1, 32, 32), torch.arange(8) % 2)
    evaluate(slice_of(32, index=1), Classifier(build("resnet18").eval()), plan, small)  # compiles the kernels
    in_turn(
        f"protocol, {size} x {size}: whole against captum, PAIR, scikit-learn and a loop",
        lambda: evaluate(case, classifier, plan, references),
        glued,
        rounds=1,
        warm=False,
    )


if __name__ == "__main__":
    main()
