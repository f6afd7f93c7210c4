import pytest
import torch
import torchvision

import googlenet
from bench.errors import RequestError
from bench.rewrites import REWRITES
from bench.stages import partition
from bench.stages.vocabulary import INCEPTION_BLOCKS


@pytest.mark.parametrize(
    ("build", "kind"),
    [
        (lambda: torchvision.models.resnet18(), "ResNet"),
        (lambda: googlenet.build("googlenet-naive"), "GoogLeNet"),
    ],
)
def test_other_networks_are_refused_in_a_sentence(build, kind: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(
        RequestError, match=f"^{kind} has no 1×1 convolutions side by side .*without fuse$"
    ):
        REWRITES["fuse"].apply(build().eval(), (torch.randn(1, 3, 32, 32),))


@pytest.mark.parametrize("name", ["googlenet", "torchvision"])
def test_stages_are_kept_but_not_their_branches(name: str) -> None:
    model = googlenet.build(name).eval()
    fused = REWRITES["fuse"].apply(model, (torch.randn(1, 3, 32, 32),))
    before = {part.key for part in partition.split(model)}
    after = {part.key for part in partition.split(fused)}
    branches = {key for key in before if key[0] in INCEPTION_BLOCKS and key[1]}
    assert len(branches) == 4 * len(INCEPTION_BLOCKS)
    assert after == before - branches
