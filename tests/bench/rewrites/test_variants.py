"""Every rewrite, alone and with the others, on every variant of GoogLeNet."""

import pytest
import torch

import googlenet
from googlenet.variants import VARIANTS
from tests.bench.rewrites import oracle

# Without reductions, a block has a single 1×1 convolution of its input.
WITHOUT_SIBLINGS = "googlenet-naive"


def images() -> torch.Tensor:
    return torch.randn(2, 3, 32, 32)


# What matters to rewrites: norms, biases, stems, siblings, and both classes. The others differ in
# sizes only; ``nox -s slow`` has them.
DISTINCT = {
    "googlenet",
    "googlenet-bias",
    "googlenet-caffe",
    "googlenet-separable",
    WITHOUT_SIBLINGS,
    "torchvision",
}
EVERY_VARIANT = [
    pytest.param(name, marks=() if name in DISTINCT else pytest.mark.slow) for name in VARIANTS
]


@pytest.mark.parametrize("name", EVERY_VARIANT)
def test_every_variant_answers_as_before(name: str) -> None:
    torch.manual_seed(0)
    model = oracle.randomised(googlenet.build(name))
    folded = oracle.check(model, images(), "fold")
    assert oracle.batch_norms(folded) == 0
    rest = "packed+channels_last" if name == WITHOUT_SIBLINGS else "fuse+packed+channels_last"
    oracle.check(folded, images(), rest)


@pytest.mark.parametrize("name", [name for name in VARIANTS if name != WITHOUT_SIBLINGS])
@pytest.mark.parametrize("mode", ["fuse", "fuse+channels_last"])
def test_fuse_needs_no_fold(name: str, mode: str) -> None:
    torch.manual_seed(0)
    oracle.check(oracle.randomised(googlenet.build(name)), images(), mode)


@pytest.mark.parametrize("name", ["googlenet", "torchvision"])
@pytest.mark.parametrize("mode", ["packed", "fold+channels_last"])
def test_rewrites_work_alone_and_with_channels_last(name: str, mode: str) -> None:
    torch.manual_seed(0)
    oracle.check(oracle.randomised(googlenet.build(name)), images(), mode)
