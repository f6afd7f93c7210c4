from dataclasses import FrozenInstanceError, fields, replace
from typing import Any

import pytest

from bench.cells.cell import Cell

CELL = Cell(
    arch="googlenet",
    mode="compile+channels_last",
    dtype="fp32",
    batch_size=1,
    task="infer",
    device="cpu",
)


def test_id_has_the_documented_form() -> None:
    assert CELL.id == "googlenet/compile+channels_last/fp32/b1/infer/cpu"


def test_group_is_the_id_without_arch_and_mode() -> None:
    assert CELL.group == "fp32/b1/infer/cpu"
    assert CELL.id == f"{CELL.arch}/{CELL.mode}/{CELL.group}"


def test_a_cell_that_is_compared_across_dtypes_has_the_same_id_and_a_group_without_dtype() -> None:
    across = replace(CELL, across_dtypes=True)
    assert across.id == CELL.id
    assert across.group == "b1/infer/cpu"
    assert across.group == replace(across, dtype="bf16").group
    assert across.id != replace(across, dtype="bf16").id
    assert (CELL.label, across.label) == (CELL.mode, f"{CELL.mode} (fp32)")
    assert across.name == f"{CELL.arch} in {CELL.mode} (fp32)"


@pytest.mark.parametrize(
    "name", [field.name for field in fields(Cell) if field.name != "across_dtypes"]
)
def test_every_field_is_in_the_id(name: str) -> None:
    changed: Any = {name: 3 if name == "batch_size" else "other"}
    other = replace(CELL, **changed)
    assert other.id != CELL.id
    assert other != CELL
    assert (other.group != CELL.group) == (name not in {"arch", "mode", "control", "base"})


def test_control_is_a_different_cell_of_the_same_group() -> None:
    control = replace(CELL, control=True)
    assert control.id == f"{CELL.id}/control"
    assert control.group == CELL.group


def test_equal_cells_are_the_same_dict_key() -> None:
    assert {CELL: 1, replace(CELL): 2} == {CELL: 2}


def test_cell_is_frozen() -> None:
    with pytest.raises(FrozenInstanceError):
        CELL.arch = "other"  # type: ignore[misc]
