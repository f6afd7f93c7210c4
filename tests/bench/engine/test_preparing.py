import pytest

from bench.engine.preparing import covered_s, must_wait, was_measured
from tests.bench import runs
from tests.bench.engine.running import cell, plan


@pytest.mark.parametrize(
    ("spans", "expected"),
    [
        ([], 0.0),
        ([(1.0, 3.0)], 2.0),
        ([(5.0, 6.0), (1.0, 3.0)], 3.0),
        ([(1.0, 3.0), (2.0, 5.0)], 4.0),
        ([(1.0, 9.0), (2.0, 3.0), (8.0, 10.0)], 9.0),
    ],
    ids=["none", "one", "apart", "overlapping", "one inside another"],
)
def test_time_that_spans_share_is_counted_once(
    spans: list[tuple[float, float]], expected: float
) -> None:
    assert covered_s(spans) == expected


@pytest.mark.parametrize(
    ("mode", "busy", "waits"),
    [
        ("eager", ["eager", "compile"], False),
        ("compile", ["compile"], True),
        ("compile", ["eager", "reduce-overhead", "compile+channels_last"], False),
        ("reduce-overhead", ["reduce-overhead"], True),
        ("max-autotune", [], False),
        ("max-autotune", ["eager"], True),
        ("eager", ["max-autotune"], True),
    ],
)
def test_no_two_compile_the_same_graph_and_who_tries_kernels_out_is_alone(
    mode: str, busy: list[str], waits: bool
) -> None:
    others = [runs.cell("googlenet", name) for name in busy]
    assert must_wait(runs.cell("googlenet", mode), others) is waits


def test_another_arch_has_another_graph() -> None:
    assert not must_wait(runs.cell("googlenet", "compile"), [runs.cell("torchvision", "compile")])


def test_each_device_compiles_in_its_first_set_and_finds_its_code_from_then_on() -> None:
    found = plan(cell("works"), sets=4, devices=("cuda:0", "cuda:1"))
    cached = [was_measured(found, found.device_of(index), before=index) for index in range(4)]
    assert cached == [False, False, True, True]
