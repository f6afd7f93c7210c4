from dataclasses import replace
from itertools import product
from typing import Any

import pytest

from bench.cells import plan_values
from bench.cells.cell import Cell
from bench.cells.plan import Plan
from bench.errors import RequestError

ARCHS = ("googlenet", "torchvision")
MODES = ("eager", "compile")
DTYPES = ("fp32", "bf16")
BATCH_SIZES = (1, 8)
TASKS = ("infer", "train")


@pytest.mark.parametrize(
    ("devices", "expected"),
    [
        ((), ["cuda", "cuda", "cuda", "cuda"]),
        (("cuda:0",), ["cuda:0", "cuda:0", "cuda:0", "cuda:0"]),
        (("cuda:0", "cuda:1"), ["cuda:0", "cuda:1", "cuda:0", "cuda:1"]),
        (("cuda:0", "cuda:1", "cuda:2"), ["cuda:0", "cuda:1", "cuda:2", "cuda:0"]),
    ],
)
def test_devices_measure_sets_in_turn(devices: tuple[str, ...], expected: list[str]) -> None:
    run_plan = Plan(
        cells=cells(device="cuda:all" if devices else "cuda"),
        sets=4,
        rounds=1,
        precision=0.02,
        extra_s=0.0,
        budget_s=None,
        seed=1,
        devices=devices,
    )
    assert [run_plan.device_of(index) for index in range(4)] == expected


def cells(**options: Any) -> tuple[Cell, ...]:
    defaults: dict[str, Any] = {
        "arch_names": ["googlenet"],
        "mode_names": ["eager"],
        "dtype_names": ["fp32"],
        "batch_sizes": [1],
        "task_names": ["infer"],
        "device": "cpu",
    }
    return plan_values.cells(**(defaults | options))


def make_plan(plan_cells: tuple[Cell, ...], **options: Any) -> Plan:
    return Plan(
        cells=plan_cells,
        sets=2,
        rounds=3,
        precision=0.02,
        extra_s=0.0,
        budget_s=None,
        seed=0,
        **options,
    )


def all_cells() -> tuple[Cell, ...]:
    return cells(
        arch_names=ARCHS,
        mode_names=MODES,
        dtype_names=DTYPES,
        batch_sizes=BATCH_SIZES,
        task_names=TASKS,
    )


def test_cells_has_every_combination_once() -> None:
    result = [(c.arch, c.mode, c.dtype, c.batch_size, c.task) for c in all_cells()]
    expected = set(product(ARCHS, MODES, DTYPES, BATCH_SIZES, TASKS))
    assert len(result) == len(expected)
    assert set(result) == expected
    assert {cell.device for cell in all_cells()} == {"cpu"}


def test_modes_are_canonical_and_without_duplicates() -> None:
    result = cells(
        arch_names=["googlenet", "googlenet"],
        mode_names=["channels_last+compile", "compile+channels_last", "eager+channels_last"],
    )
    assert [cell.mode for cell in result] == ["compile+channels_last", "channels_last"]


def test_archs_from_other_sources_are_accepted() -> None:
    names = ["torchvision:resnet18", "tests.bench.tiny:net", "tests/bench/tiny.py:net"]
    assert [cell.arch for cell in cells(arch_names=names)] == names


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"arch_names": ["gogglenet"]}, "no arch is called 'gogglenet'; did you mean 'googlenet'?"),
        ({"arch_names": [":resnet18"]}, "':resnet18' is not an arch: expected a registered name"),
        ({"arch_names": ["torchvision:"]}, "'torchvision:' is not an arch: expected"),
        (
            {"mode_names": ["compiled"]},
            "no mode token is called 'compiled'; did you mean",
        ),
        ({"mode_names": ["eager+compile"]}, "has 2 executors"),
        (
            {"mode_names": ["cudagraphs"]},
            "'cudagraphs' does not run on cpu; available there: eager",
        ),
        (
            {"mode_names": ["cudagraphs"], "task_names": ["train"], "device": "cuda"},
            "'cudagraphs' supports infer, not train",
        ),
        ({"dtype_names": ["fp23"]}, "no dtype is called 'fp23'; did you mean 'fp32'?"),
        (
            {"dtype_names": ["fp16"]},
            "dtype 'fp16' does not run on cpu; available there: fp32, bf16$",
        ),
        (
            {"dtype_names": ["fp32", "tf32"]},
            "dtype 'tf32' does not run on cpu; available there: fp32, bf16$",
        ),
        (
            {"dtype_names": ["fp16"], "task_names": ["infer", "train"], "device": "cuda:1"},
            "fp16 trains only with loss scaling, .* train in bf16",
        ),
        ({"batch_sizes": [1, 0]}, "a batch holds at least one image, not 0"),
        ({"batch_sizes": [-8]}, "a batch holds at least one image, not -8"),
        ({"task_names": ["trian"]}, "no task is called 'trian'; did you mean 'train'?"),
        ({"arch_names": []}, "nothing to measure: each list of names needs at least one entry"),
        ({"mode_names": []}, "nothing to measure"),
        ({"dtype_names": []}, "nothing to measure"),
        ({"batch_sizes": []}, "nothing to measure"),
        ({"task_names": []}, "nothing to measure"),
    ],
)
def test_wrong_values_raise_request_error(options: dict[str, Any], message: str) -> None:
    with pytest.raises(RequestError, match=message):
        cells(**options)


def test_numbered_cuda_device_supports_all_dtypes() -> None:
    result = cells(dtype_names=["fp32", "tf32", "bf16", "fp16"], device="cuda:1")
    assert [cell.dtype for cell in result] == ["fp32", "tf32", "bf16", "fp16"]
    assert {cell.device for cell in result} == {"cuda:1"}


def test_groups_contain_every_cell_once() -> None:
    groups = make_plan(all_cells()).groups
    together = [cell for group in groups.values() for cell in group]
    assert sorted(cell.id for cell in together) == sorted(cell.id for cell in all_cells())
    assert all({cell.group for cell in group} == {name} for name, group in groups.items())
    assert len(groups) == len(DTYPES) * len(BATCH_SIZES) * len(TASKS)


def test_libraries_are_those_of_the_archs_without_torchvision() -> None:
    names = ("timm:resnet18", "timm:resnet34", "torchvision:resnet18", "googlenet")
    assert make_plan(cells(arch_names=names)).libraries == ("timm",)


def test_groups_collect_cells_that_are_not_adjacent() -> None:
    first, second = cells(batch_sizes=[1, 8])
    third = cells(arch_names=["torchvision"])[0]
    assert tuple(make_plan((first, second, third)).groups.values()) == ((first, third), (second,))


def test_each_group_has_a_reference_and_a_control() -> None:
    first, second = cells(batch_sizes=[1, 8])
    third = cells(arch_names=["torchvision"])[0]
    plan = make_plan((first, second, third), reference_arch="torchvision")
    assert plan.reference(first.group) == third
    assert (
        plan.reference(second.group) == second
    )  # the first cell, if that arch is not in the group
    assert plan.controls == (replace(third, control=True), replace(second, control=True))


def test_by_default_images_have_the_size_that_each_network_is_made_for() -> None:
    assert make_plan(cells()).image_size is None
