import pytest
from torch import nn

from bench import archs
from bench.stages import partition
from bench.stages.vocabulary import GOOGLENET, StagePart
from googlenet.variants import VARIANTS

GOOGLENET_MODULES = {
    ("stem", "conv1"): ("conv1",),
    ("stem", "pool1"): ("pool1",),
    ("stem", "conv2"): ("conv2",),
    ("stem", "pool2"): ("pool2",),
    ("head", "avgpool"): ("avgpool",),
    ("head", "dropout"): ("dropout",),
    ("head", "linear"): ("fc",),
}
TORCHVISION_MODULES = {
    **GOOGLENET_MODULES,
    ("stem", "pool1"): ("maxpool1",),
    ("stem", "conv2"): ("conv2", "conv3"),
    ("stem", "pool2"): ("maxpool2",),
}


def parts_of(name: str) -> dict[tuple[str, str], StagePart]:
    parts = partition.split(archs.find(name).build(False))
    by_key = {part.key: part for part in parts}
    assert len(by_key) == len(parts)
    return by_key


def branches(name: str, stage: str) -> list[str]:
    return [branch for at, branch in parts_of(name) if at == stage and branch]


@pytest.mark.parametrize(
    ("name", "expected"), [("googlenet", GOOGLENET_MODULES), ("torchvision", TORCHVISION_MODULES)]
)
def test_stem_and_head_contain_several_children(
    name: str, expected: dict[tuple[str, str], tuple[str, ...]]
) -> None:
    parts = parts_of(name)
    for stage in ("stem", "head"):
        of_stage = {key: modules for key, modules in expected.items() if key[0] == stage}
        inside = {key: part.modules for key, part in parts.items() if key[0] == stage}
        all_modules = inside.pop((stage, ""))
        assert inside == of_stage
        assert all_modules == tuple(name for modules in of_stage.values() for name in modules)


@pytest.mark.parametrize("name", VARIANTS)
def test_every_variant_has_the_same_stages(name: str) -> None:
    parts = parts_of(name)
    assert [stage for stage, branch in parts if not branch] == list(GOOGLENET)
    blocks = [stage for stage in GOOGLENET if stage[0].isdigit()]
    for block in blocks:
        assert parts[block, ""].modules == (f"inception{block}",)
        assert sum(stage == block for stage, _ in parts) == 1 + 4


@pytest.mark.parametrize("name", VARIANTS)
def test_every_child_except_identities_is_in_exactly_one_stage(name: str) -> None:
    model = archs.find(name).build(False)
    stages = [part.modules for part in partition.split(model) if not part.branch]
    modules_of_stages = [module for modules in stages for module in modules]
    children = [
        child for child, module in model.named_children() if not isinstance(module, nn.Identity)
    ]
    assert sorted(modules_of_stages) == sorted(children)


def test_branch_names_are_the_papers_and_show_differences() -> None:
    assert branches("googlenet", "4a") == ["1×1", "3×3", "5×5", "pool"]
    assert branches("torchvision", "4a") == ["1×1", "3×3", "3×3 for 5×5", "pool"]
    assert branches("googlenet-double3x3", "4a") == ["1×1", "3×3", "3×3+3×3 for 5×5", "pool"]
    assert branches("googlenet-naive", "4a") == ["1×1", "3×3", "5×5", "pool"]
    assert branches("googlenet-no-pool", "4a") == ["1×1", "3×3", "5×5", "1×1 for pool"]


def test_branches_are_modules_of_the_block() -> None:
    assert parts_of("googlenet")["3b", "pool"].modules == ("inception3b.branch_pool",)
    assert parts_of("torchvision")["3b", "pool"].modules == ("inception3b.branch4",)


def test_response_norms_are_parts_of_the_stem() -> None:
    assert branches("googlenet-caffe", "stem") == [
        *("conv1", "pool1", "lrn1", "conv2", "lrn2", "pool2")
    ]


@pytest.mark.parametrize("name", ["torchvision:resnet18", "tests.bench.factories:tiny"])
def test_stages_of_another_network_are_its_direct_children(name: str) -> None:
    children = [child for child, _ in archs.find(name).build(False).named_children()]
    parts = parts_of(name)
    assert list(parts) == [(child, "") for child in children]
    assert [part.modules for part in parts.values()] == [(child,) for child in children]
