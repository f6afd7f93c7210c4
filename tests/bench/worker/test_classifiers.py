"""Counts of all torchvision classifiers, compared with ``FlopCounterMode`` and published figures.

``nox -s slow`` runs this test in a few minutes and prints the table.
"""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode
from torchvision import models
from torchvision.models import WeightsEnum

from bench import archs
from bench.archs.source import Arch
from bench.cells import inputs
from bench.worker import cost


def weights(name: str) -> WeightsEnum:
    """Return the weights whose metadata describes the network that the name alone builds."""
    all_weights = models.get_model_weights(name)
    # The default weights of vit_h_14 are for images of 518×518.
    return all_weights["IMAGENET1K_SWAG_LINEAR_V1"] if name == "vit_h_14" else all_weights.DEFAULT


def plain_flops(arch: Arch, image_size: int) -> int:
    """Return the count of PyTorch's counter alone, for other weights and images."""
    model = arch.build(False).eval()
    # With the fast path, each layer of a vision transformer is one operator, which counts as 0.
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with torch.no_grad(), FlopCounterMode(display=False) as plain:
            model(inputs.random_images(1, image_size))
    finally:
        torch.backends.mha.set_fastpath_enabled(True)
    total: int = plain.get_total_flops()
    return total


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_counts_of_all_torchvision_classifiers_are_right() -> None:
    names = models.list_models(module=models)
    assert len(names) == 80
    wrong = []
    for name in names:
        size, meta = int(weights(name).transforms().crop_size[0]), weights(name).meta
        arch = archs.find(f"torchvision:{name}")
        costs = cost.count(arch, image_size=size)
        flops = plain_flops(arch, size)
        row = (
            f"{name:18} {size:4} {costs.params:>12,} {costs.macs:>16,} {flops:>16,} "
            f"{meta['_ops']:8}"
        )
        print(row, flush=True)
        is_right = (2 * costs.macs, round(costs.macs / 1e9, 3)) == (flops, meta["_ops"])
        # The published count of inception_v3 includes auxiliary heads; that of googlenet does not.
        has_params = meta["num_params"] in {costs.params, costs.params_with_aux}
        if not is_right or not has_params or costs.uncounted:
            wrong.append(row)
    assert not wrong, "\n".join(wrong)
