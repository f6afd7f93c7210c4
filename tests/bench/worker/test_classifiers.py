"""All of torchvision's classifiers beside a plain ``FlopCounterMode``, and what torchvision says.

``nox -s slow`` runs it, in some minutes, and prints the table.
"""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode
from torchvision import models
from torchvision.models import WeightsEnum

from bench.cells import archs, inputs
from bench.worker import cost


def weights(name: str) -> WeightsEnum:
    """The weights whose metadata is of the network that the name alone builds."""
    known = models.get_model_weights(name)
    # Its default weights are of a network for images of 518×518.
    return known["IMAGENET1K_SWAG_LINEAR_V1"] if name == "vit_h_14" else known.DEFAULT


def plain_flops(arch: archs.Arch, image_size: int) -> int:
    """What PyTorch's counter says by itself, of other weights and images."""
    model = arch.build(False).eval()
    # A vision transformer's layers would each be one operator, that it counts as 0.
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
def test_all_of_torchvisions_classifiers() -> None:
    names = models.list_models(module=models)
    assert len(names) == 80
    wrong = []
    for name in names:
        size, meta = int(weights(name).transforms().crop_size[0]), weights(name).meta
        arch = archs.find(f"torchvision:{name}")
        ours = cost.count(arch, image_size=size)
        flops = plain_flops(arch, size)
        row = (
            f"{name:18} {size:4} {ours.params:>12,} {ours.macs:>16,} {flops:>16,} {meta['_ops']:8}"
        )
        print(row, flush=True)
        is_right = (2 * ours.macs, round(ours.macs / 1e9, 3)) == (flops, meta["_ops"])
        # Published weights of inception_v3 have its auxiliary head, and those of googlenet do not.
        has_params = meta["num_params"] in {ours.params, ours.params_with_aux}
        if not is_right or not has_params or ours.uncounted:
            wrong.append(row)
    assert not wrong, "\n".join(wrong)
