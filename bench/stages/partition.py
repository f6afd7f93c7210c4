"""The partition: which modules of a network are its stages, and which are branches of a stage."""

from collections.abc import Iterator, Mapping

from torch import nn

from bench.stages.vocabulary import BRANCHES, GOOGLENET, StagePart, is_googlenet


def split(model: nn.Module) -> tuple[StagePart, ...]:
    """Every stage, its branches after it.

    GoogLeNet's stages go by the paper's names, in our code and in torchvision's alike. Of any other
    network they are the direct children, without branches.
    """
    children = dict(model.named_children())
    if is_googlenet(children):
        return tuple(_of_googlenet(children))
    return tuple(StagePart(stage=name, modules=(name,)) for name in children)


def _of_googlenet(children: Mapping[str, nn.Module]) -> Iterator[StagePart]:
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
            yield from _of_inception(stage, modules[0], children[modules[0]])


def _of_inception(stage: str, name: str, block: nn.Module) -> Iterator[StagePart]:
    for child, branch in block.named_children():
        if child in BRANCHES:
            branch_name = _branch_name(BRANCHES[child], branch)
            yield StagePart(stage=stage, branch=branch_name, modules=(f"{name}.{child}",))


def _branch_name(paper: str, branch: nn.Module) -> str:
    """What the paper has there; where the network has something else, that in its place."""
    parts = list(branch.modules())
    kernels = [part.kernel_size[0] for part in parts if isinstance(part, nn.Conv2d)]
    larger = "+".join(f"{size}×{size}" for size in kernels if size != 1)
    is_pooled = any(isinstance(part, nn.MaxPool2d) for part in parts)
    found = "pool" if is_pooled else larger or "1×1"
    return paper if found == paper else f"{found} for {paper}"


def _does_anything(child: nn.Module | None) -> bool:
    """Whether a child is there, and no placeholder of a network that has nothing in its place."""
    return child is not None and not isinstance(child, nn.Identity)
