from collections.abc import Sequence

import pytest

from bench.best import combinations
from bench.cells import modes
from bench.cells.cell import Cell


def cell(mode: str = "eager", dtype: str = "fp32") -> Cell:
    return Cell(arch="mine", mode=mode, dtype=dtype, batch_size=1, task="infer", device="cpu")


@pytest.mark.parametrize(
    ("of", "changes"),
    [
        (cell(), set()),
        (cell("compile"), {"compile"}),
        (cell(dtype="bf16"), {"bf16"}),
        (cell("compile+channels_last", "bf16"), {"compile", "channels_last", "bf16"}),
    ],
)
def test_the_changes_of_a_cell_are_those_of_eager_in_fp32(of: Cell, changes: set[str]) -> None:
    assert combinations.changes(of) == changes
    assert combinations.size(of) == len(changes)


@pytest.mark.parametrize(
    ("of", "found"),
    [
        (cell(), [cell("compile"), cell("channels_last"), cell(dtype="bf16")]),
        # A mode has at most one executor, and each token once.
        (cell("compile"), [cell("compile+channels_last"), cell("compile", "bf16")]),
        (cell("channels_last", "bf16"), [cell("compile+channels_last", "bf16")]),
    ],
)
def test_neighbours_make_one_more_change(of: Cell, found: Sequence[Cell]) -> None:
    names = ("eager", "compile", "channels_last", "cudagraphs")  # the last one needs CUDA
    assert list(combinations.neighbours(of, names, ("fp32", "bf16"))) == list(found)


def test_a_dtype_is_not_replaced_by_another() -> None:
    narrow = Cell(
        arch="mine", mode="eager", dtype="bf16", batch_size=1, task="infer", device="cuda"
    )
    found = combinations.neighbours(narrow, ("channels_last",), ("fp32", "tf32", "bf16", "fp16"))
    assert [(each.mode, each.dtype) for each in found] == [("channels_last", "bf16")]


def test_every_token_that_runs_inference_on_a_device_is_tried() -> None:
    assert set(combinations.tokens("cpu")) == {
        name
        for name, token in modes.tokens().items()
        if "cpu" in token.devices and "infer" in token.tasks
    }
    assert "cudagraphs" in combinations.tokens("cuda:1")


def test_only_modes_that_try_kernels_out_are_slow_to_prepare() -> None:
    assert combinations.tries_kernels_out("max-autotune")
    assert not any(map(combinations.tries_kernels_out, ("compile", "cpp_wrapper", "fold")))
