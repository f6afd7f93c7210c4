"""Leaves: all values in a network's output that can be compared, by path.

Paths use Python's syntax: ``['logits']``, ``.aux1``, ``[0]``.
"""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils import _pytree as pytree

Leaf = Any
"""A dense tensor on the CPU, or any value that is compared with ``==``."""
Leaves = Mapping[str, Leaf]


def flatten(output: Any, name: str = "") -> dict[str, Leaf]:
    """Return copies of an output's leaves; their paths begin with ``name``.

    Tensors and arrays may be nested in mappings, sequences, named tuples, dataclasses and types
    that PyTorch's pytree knows. Any other value is itself a leaf.
    """
    return dict(_leaves(output, name))


def _leaves(output: Any, path: str) -> Iterator[tuple[str, Leaf]]:
    children = _children(output)
    if children is None:
        yield path, _copied(output)
        return
    for key, child in children:
        yield from _leaves(child, path + key)


def _children(output: Any) -> list[tuple[str, Any]] | None:
    """Return the values one level down, with their keys; None for a leaf."""
    if isinstance(output, Tensor):
        nested = output.unbind() if output.is_nested else None
        return None if nested is None else _numbered(nested)
    if isinstance(output, str | bytes | np.ndarray):
        return None
    if type(output) in pytree.SUPPORTED_NODES or pytree.is_namedtuple_instance(output):
        return _registered(output)
    if dataclasses.is_dataclass(output) and not isinstance(output, type):
        return _fields(output)
    if isinstance(output, Mapping):
        return [(f"[{key!r}]", value) for key, value in output.items()]
    if isinstance(output, Sequence):
        return _numbered(output)
    return None


def _numbered(values: Sequence[Any]) -> list[tuple[str, Any]]:
    return [(f"[{index}]", value) for index, value in enumerate(values)]


def _fields(output: Any) -> list[tuple[str, Any]]:
    """Return a dataclass's fields; if it is also a mapping, its items under other names too."""
    names = [field.name for field in dataclasses.fields(output)]
    items = output.items() if isinstance(output, Mapping) else ()
    return [
        *((f".{name}", getattr(output, name)) for name in names),
        *((f"[{key!r}]", value) for key, value in items if key not in names),
    ]


def _registered(output: Any) -> list[tuple[str, Any]]:
    """Return one level of a type known to PyTorch's pytree; indices if the type has no keys."""

    def is_child(value: Any) -> bool:
        return value is not output

    if pytree.SUPPORTED_NODES[pytree._get_node_type(output)].flatten_with_keys_fn is None:
        return _numbered(pytree.tree_leaves(output, is_leaf=is_child))
    children, _ = pytree.tree_flatten_with_path(output, is_leaf=is_child)
    return [(pytree.keystr(path), child) for path, child in children]


def _copied(leaf: Any) -> Leaf:
    """Copy a tensor or an array of numbers to a dense tensor on the CPU."""
    if isinstance(leaf, np.ndarray):
        numbers = _numbers(leaf)
        return leaf.tolist() if numbers is None else _dense(torch.from_numpy(numbers))
    if isinstance(leaf, np.generic):
        scalar = _numbers(np.asarray(leaf))
        return leaf.item() if scalar is None else scalar.item()
    return _dense(leaf) if isinstance(leaf, Tensor) else leaf


def _numbers(array: np.ndarray) -> np.ndarray | None:
    """Copy an array of numbers to a type that PyTorch supports; None if it holds no numbers.

    PyTorch supports neither the other byte order nor numbers of more than 64 bits.
    """
    if array.dtype.kind not in "biufc":
        return None
    widest = {"f": "float64", "c": "complex128"}.get(array.dtype.kind)
    is_wider = widest is not None and array.itemsize > np.dtype(widest).itemsize
    return array.astype(widest if is_wider else array.dtype.newbyteorder("="))


def _dense(tensor: Tensor) -> Tensor:
    """Copy a tensor to a dense one on the CPU; complex numbers become pairs of real numbers."""
    dense = tensor.detach()
    if dense.is_quantized:
        dense = dense.dequantize()
    elif dense.layout is not torch.strided:
        dense = dense.to_dense()
    dense = dense.resolve_conj().resolve_neg()
    if dense.is_complex():
        dense = torch.view_as_real(dense)
    if dense.is_floating_point() and dense.dtype is not torch.float64:
        dense = dense.float()
    return dense.to("cpu", copy=True)
