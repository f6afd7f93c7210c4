"""A network as an ONNX model in a temporary file, from which another runtime makes its program."""

import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from bench.archs.source import Inputs
from bench.cells import module
from bench.error_text import one_line
from bench.errors import RequestError
from bench.executors.request import ExecutorRequest

_CONSTANTS = (bool, int, float, complex, str, type(None))
_META = torch.device("meta")


@dataclass(frozen=True, slots=True, kw_only=True)
class Structure:
    """How a network nests the tensors of its output, with all values that are not tensors."""

    leaves: tuple[Any, ...]
    """The leaves in PyTorch's order; None in place of each tensor."""
    tensors: tuple[int, ...]
    """The positions of the tensors among the leaves."""
    tree: pytree.TreeSpec

    @classmethod
    def of(cls, output: Any) -> "Structure":
        """Return the structure of an output.

        Raises ``TypeError`` for a leaf that is neither a tensor nor a plain value.
        """
        leaves, tree = pytree.tree_flatten(output)
        for leaf in leaves:
            if not isinstance(leaf, (Tensor, *_CONSTANTS)):
                raise TypeError(
                    f"the output contains a {type(leaf).__name__}, which is neither a tensor nor a "
                    "type that PyTorch's pytree knows"
                )
        return cls(
            leaves=tuple(None if isinstance(leaf, Tensor) else leaf for leaf in leaves),
            tensors=tuple(i for i, leaf in enumerate(leaves) if isinstance(leaf, Tensor)),
            tree=tree,
        )

    def nest(self, tensors: Iterable[Tensor]) -> Any:
        """Return an output with these tensors. Raises ``ValueError`` for another number of them."""
        leaves = list(self.leaves)
        for position, tensor in zip(self.tensors, tensors, strict=True):
            leaves[position] = tensor
        return pytree.tree_unflatten(leaves, self.tree)


@dataclass(frozen=True, slots=True, kw_only=True)
class OnnxModel:
    """An ONNX model, whose inputs and outputs are the network's tensors in their order."""

    path: Path
    """The file, with the weights in a second one beside it if they are larger than 2 GB."""
    opset: int
    structure: Structure

    @property
    def is_one_file(self) -> bool:
        """Whether the weights are in the same file."""
        return list(self.path.parent.iterdir()) == [self.path]


class _Tensors(nn.Module):
    """A network that returns only the tensors of its output, as a tuple."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, *example: Tensor) -> tuple[Tensor, ...]:
        leaves = pytree.tree_leaves(self.network(*example))
        return tuple(leaf for leaf in leaves if isinstance(leaf, Tensor))


@contextmanager
def exported(network: nn.Module, request: ExecutorRequest, runtime: str) -> Iterator[OnnxModel]:
    """Export a network in eval mode, then free its weights; the file exists within the block.

    The parameters keep their shapes, on the device ``meta``, in the dtype of the request. Raises
    ``RequestError`` for a network that cannot be exported; ``runtime`` is named in the message.
    """
    with tempfile.TemporaryDirectory(prefix="googlenet-bench-") as folder:
        path = Path(folder, "network.onnx")
        opset, structure = write(network, request.example, path, runtime)
        module.cast(network.to(_META), request.dtype)
        yield OnnxModel(path=path, opset=opset, structure=structure)


def write(network: nn.Module, example: Inputs, path: Path, runtime: str) -> tuple[int, Structure]:
    """Export a network to a file; return its opset, and the structure of the network's output.

    Raises ``RequestError`` for a network that cannot be exported; ``runtime`` is named in the
    message.
    """
    try:
        return _export(network, example, path)
    except (MemoryError, torch.OutOfMemoryError):
        raise
    except Exception as error:
        raise RequestError(
            f"{runtime} cannot run this network, because its export to ONNX fails with "
            f"{_reason(error)}; choose another mode"
        ) from error


@torch.no_grad()
def _export(network: nn.Module, example: Inputs, path: Path) -> tuple[int, Structure]:
    structure = Structure.of(network(*example))
    captured = torch.export.export(_Tensors(network), example)
    # Only the exporter without dynamo returns None.
    program = cast(torch.onnx.ONNXProgram, torch.onnx.export(captured, dynamo=True, verbose=False))
    program.save(path)
    return program.model.opset_imports[""], structure


def _reason(error: Exception) -> str:
    """Return the exporter's first error in one line; the later ones only say what to do with it."""
    while isinstance(error.__cause__, Exception):
        error = error.__cause__
    return one_line(error)
