from collections import OrderedDict, deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from bench.cells import leaves

X = torch.tensor([1.0, 2.0])


class Named(NamedTuple):
    logits: Tensor
    aux1: Tensor | None


@dataclass
class Data:
    boxes: Tensor
    others: list[Tensor]


class Table(Mapping[str, Tensor]):
    """A mapping that is not a dict."""

    def __getitem__(self, key: str) -> Tensor:
        return {"a": X}[key]

    def __iter__(self) -> Iterator[str]:
        return iter(["a"])

    def __len__(self) -> int:
        return 1


@dataclass
class DataTable(Table):
    """A dataclass that is also a mapping."""

    boxes: Tensor


class Registered:
    """A user-defined type that is registered with PyTorch's pytree, without key names."""

    def __init__(self, first: Any, second: Any) -> None:
        self.both = [first, second]


pytree.register_pytree_node(
    Registered, lambda registered: (registered.both, None), lambda both, _: Registered(*both)
)


@pytest.mark.parametrize(
    ("output", "paths"),
    [
        (X, [""]),
        ([X, (X, X)], ["[0]", "[1][0]", "[1][1]"]),
        ({"logits": X, 3: X}, ["['logits']", "[3]"]),
        (OrderedDict(a=X), ["['a']"]),
        (deque([X]), ["[0]"]),
        (Named(X, None), [".logits", ".aux1"]),
        (Data(X, [X, X]), [".boxes", ".others[0]", ".others[1]"]),
        (Table(), ["['a']"]),
        (DataTable(X), [".boxes", "['a']"]),
        (Registered(X, {"b": X}), ["[0]", "[1]['b']"]),
        (nn.ParameterDict({"w": nn.Parameter(X)}), [""]),
        ("text", [""]),
        (Data, [""]),
        ([], []),
        (torch.nested.nested_tensor([X, X[:1]], layout=torch.jagged), ["[0]", "[1]"]),
    ],
)
def test_flatten_returns_leaves_by_path(output: Any, paths: list[str]) -> None:
    assert list(leaves.flatten(output)) == paths


def test_paths_begin_with_the_given_name() -> None:
    assert list(leaves.flatten(Named(X, X), "output")) == ["output.logits", "output.aux1"]


@pytest.mark.parametrize(
    "leaf",
    [
        X,
        X.numpy(),
        X.numpy().astype(">f4"),
        X.numpy().astype(">i2"),
        X.numpy().astype(np.float16),
        X.numpy().astype(np.longdouble),
        X.to_sparse(),
        X.double(),
        X.bfloat16(),
        nn.Parameter(X),
    ],
)
def test_tensors_and_arrays_become_dense_copies(leaf: Any) -> None:
    (leaf_value,) = leaves.flatten(leaf).values()
    assert torch.equal(leaf_value.float(), X)
    assert not leaf_value.requires_grad
    leaf_value.zero_()
    (again,) = leaves.flatten(leaf).values()
    assert torch.equal(again.float(), X)


def test_complex_numbers_keep_both_parts() -> None:
    (leaf,) = leaves.flatten(torch.complex(X, -X).conj()).values()
    assert torch.equal(leaf, torch.stack((X, X), dim=-1))


@pytest.mark.parametrize("dtype", [np.complex64, ">c16", np.clongdouble])
def test_complex_arrays_keep_both_parts(dtype: Any) -> None:
    array = (X + 1j * X).numpy().astype(dtype)
    (leaf,) = leaves.flatten(array).values()
    assert torch.equal(leaf.float(), torch.stack((X, X), dim=-1))


@pytest.mark.parametrize("value", [3, True, 0.5, "a", None, b"a"])
def test_other_values_are_unchanged_leaves(value: object) -> None:
    assert leaves.flatten([value]) == {"[0]": value}


def test_number_arrays_become_tensors_and_other_arrays_lists() -> None:
    for scalar in (np.float32(0.5), np.longdouble(0.5)):
        leaf = leaves.flatten(scalar)[""]
        assert (type(leaf), leaf) == (float, 0.5)
    assert leaves.flatten(np.array(["a", "b"])) == {"": ["a", "b"]}
    assert leaves.flatten(np.array([1, 2]))[""].dtype is torch.int64


@pytest.mark.filterwarnings("ignore:torch.quantize_per_tensor:UserWarning")
def test_quantised_tensors_are_dequantised() -> None:
    quantised = torch.quantize_per_tensor(X, scale=0.5, zero_point=0, dtype=torch.qint8)
    assert torch.equal(leaves.flatten(quantised)[""], X)
