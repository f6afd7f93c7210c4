"""Partition of a network: which modules are its stages, and which are branches of a stage."""

from collections.abc import Iterator, Mapping

from torch import nn

from bench.cells import module
from bench.stages.vocabulary import BRANCHES, GOOGLENET, StagePart, is_googlenet


def split(model: nn.Module) -> tuple[StagePart, ...]:
    """Return every stage of a network, each followed by its branches.

    GoogLeNet's stages have the paper's names, for both our code and torchvision's. The stages of
    any other network are its direct children, without branches.
    """
    children = dict(model.named_children())
    if is_googlenet(children):
        return tuple(_googlenet_parts(children))
    return tuple(StagePart(stage=name, modules=(name,)) for name in children)


def _googlenet_parts(children: Mapping[str, nn.Module]) -> Iterator[StagePart]:
    for stage, table in GOOGLENET.items():
        parts = {
            branch: tuple(name for name in names if _does_anything(children.get(name)))
            for branch, names in table.items()
        }
        modules = tuple(name for names in parts.values() for name in names)
        if not modules:
            continue
        yield StagePart(stage=stage, modules=modules)
        for branch, names in parts.items():
            if branch and names:
                yield StagePart(stage=stage, branch=branch, modules=names)
        if "" in parts:
            yield from _inception_parts(stage, modules[0], children[modules[0]])


def _inception_parts(stage: str, name: str, block: nn.Module) -> Iterator[StagePart]:
    if module.kind(block) == "FusedInception":
        return  # its branches share a convolution
    for child, branch in block.named_children():
        if child in BRANCHES:
            branch_name = _branch_name(BRANCHES[child], branch)
            yield StagePart(stage=stage, branch=branch_name, modules=(f"{name}.{child}",))


def _branch_name(paper: str, branch: nn.Module) -> str:
    """Return the paper's name of a branch; or "X for NAME" if the network has X in its place."""
    parts = list(branch.modules())
    kernels = [part.kernel_size[0] for part in parts if isinstance(part, nn.Conv2d)]
    larger = "+".join(f"{size}×{size}" for size in kernels if size != 1)
    is_pooled = any(isinstance(part, nn.MaxPool2d) for part in parts)
    actual = "pool" if is_pooled else larger or "1×1"
    return paper if actual == paper else f"{actual} for {paper}"


def _does_anything(child: nn.Module | None) -> bool:
    """Whether a child exists and is not an ``nn.Identity`` that replaces a missing module."""
    return child is not None and not isinstance(child, nn.Identity)
