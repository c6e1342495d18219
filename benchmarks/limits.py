"""What this machine can do at most, and which share of it the paper's network takes: products, memory, bare passes."""

import torch
from torch.utils.flop_counter import FlopCounterMode

from side_by_side import seconds
from tomolens.classifier.architectures import build
from tomolens.classifier.layout import as_channels_last
from tomolens.classifier.quick import folded

SIDE, BATCH, SIZE = 2048, 16, 224


def products(kind: torch.dtype) -> float:
    """GFLOP/s of a product of large square matrices."""
    one, other = torch.rand(SIDE, SIDE).to(kind), torch.rand(SIDE, SIDE).to(kind)
    one @ other
    return 2 * SIDE**3 / seconds(lambda: one @ other, 5) / 1e9


def copied() -> float:
    """GB/s read and written by copying a tensor that no cache holds."""
    source = torch.rand(64 * 2**20)
    target = torch.empty_like(source)
    return 2 * source.nbytes / seconds(lambda: target.copy_(source), 5) / 1e9


def main() -> None:
    """Print them."""
    torch.manual_seed(0)
    peak = products(torch.float32)
    print(f"limits, {torch.get_num_threads()} threads: products in float32 {peak:.0f} GFLOP/s")
    print(f"limits: products in bfloat16 {products(torch.bfloat16):.0f} GFLOP/s")
    print(f"limits: memory {copied():.1f} GB/s")
    network = build("resnet50").eval().requires_grad_(False)
    images = torch.rand(BATCH, 1, SIZE, SIZE)
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        network(images[:1])
    forward = counter.get_total_flops() / 1e9
    for name, one in (("plain", network), ("folded", folded(network))):

        def decide(one: torch.nn.Module = one) -> None:
            with torch.inference_mode():
                one(as_channels_last(images))

        def explain(one: torch.nn.Module = one) -> None:
            asked = as_channels_last(images).requires_grad_(True)
            torch.autograd.grad(one(asked).sum(), asked)

        for what, work, passes in (("forward", decide, 1), ("forward and backward", explain, 2)):
            work()
            speed = BATCH / seconds(work, 3)
            share = speed * passes * forward / peak
            print(
                f"limits, resnet50, {SIZE} x {SIZE}, {passes * forward:.1f} GFLOP an image: {name} {what} {speed:.1f} "
                f"images a second, {share:.2f} of the products"
            )


if __name__ == "__main__":
    main()
