"""All of torchvision's classifiers beside a plain ``FlopCounterMode``, and what torchvision says.

``nox -s classifiers`` runs it, in some minutes; ``-s`` prints the table.
"""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode
from torchvision import models
from torchvision.models import WeightsEnum

from bench.cells import archs, inputs
from bench.worker import cost

ROUNDED = (
    0.0006  # 10⁹ multiply-accumulates: torchvision's figure has three decimals, cut or rounded
)
# torchvision's figure and ours differ, and why: 10⁹ MACs of torchvision's less ours.
EXCEPTIONS: dict[str, float] = {}


def weights(name: str) -> WeightsEnum:
    """The weights whose metadata is of the network that the name alone builds."""
    known = models.get_model_weights(name)
    # Its default weights are of a network for images of 518×518.
    return known["IMAGENET1K_SWAG_LINEAR_V1"] if name == "vit_h_14" else known.DEFAULT


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
        torch.manual_seed(0)
        model = arch.build(False).eval()
        with torch.no_grad(), FlopCounterMode(display=False) as plain:
            model(inputs.random_images(1, size))
        same = 2 * ours.macs == plain.get_total_flops() and not ours.uncounted
        off = meta["_ops"] - ours.macs / 1e9 - EXCEPTIONS.get(name, 0.0)
        row = (
            f"{name:22} {size:4} {ours.params:>13,} {ours.macs:>17,} "
            f"{plain.get_total_flops():>17,} {meta['_ops']:8.3f} {off:+.4f}"
        )
        print(row, flush=True)
        if not same or abs(off) > ROUNDED:
            wrong.append(row)
    assert not wrong, "\n".join(wrong)
