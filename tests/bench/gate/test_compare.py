import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy.stats import ttest_ind

from bench import means, stats
from bench.cells.cell import Cell
from bench.gate.compare import compare
from bench.gate.comparison import DRIFT, Basis, Compared, Comparison
from bench.gate.judge import LEAST_EFFECT
from bench.gate.verdict import Verdict
from bench.names import RequestError
from bench.records.circumstances import CIRCUMSTANCES, differences
from bench.records.record import CellRecord, RunRecord, Visit
from tests.bench import runs

REGRESSED, IMPROVED, UNCHANGED, INCONCLUSIVE = Verdict
TO, EAGER, COMPILED = runs.REFERENCE_EAGER, runs.EAGER, runs.COMPILED
T_95_OF_4 = 2.776445  # Student's t with 4 degrees of freedom, two-sided 95 %
ABOUT: dict[str, Any] = {
    "python": "3.11.9",
    "torch": "2.11.0",
    "torchvision": "0.26.0",
    "device": "cpu",
    "device_name": "AMD EPYC",
    "cpu": "AMD EPYC",
    "physical_cores": 2,
    "cpu_capability": "AVX2",
    "threads": 2,
    "variables": {"MALLOC_TOP_PAD_": "134217728"},
}

Logs = Sequence[float]
"""The logarithm of a latency in each set."""


def record(cell: Cell, logs: Logs) -> CellRecord:
    """A cell visited once in each set."""
    visits = (
        Visit(set_index=index, round_index=0, host_s=(math.exp(log),))
        for index, log in enumerate(logs)
    )
    return CellRecord(cell=cell, visits=tuple(visits))


def run(cells: Mapping[Cell, Logs], *, to: Cell = TO, **about: Any) -> RunRecord:
    """A run whose control is just like its reference."""
    control = record(replace(to, control=True), cells.get(to, ()))
    return replace(
        runs.small("complete"),
        cells=tuple(record(cell, logs) for cell, logs in cells.items()),
        controls=(control,),
        rounds=(),
        environment=ABOUT | about,
    )


def run_of_two_groups(one: Mapping[Cell, Logs], other: Mapping[Cell, Logs]) -> RunRecord:
    """The first cell of each group is its reference."""
    runs_of = [run(cells, to=next(iter(cells))) for cells in (one, other)]
    return replace(
        runs_of[0],
        cells=tuple(record for found in runs_of for record in found.cells),
        controls=tuple(control for found in runs_of for control in found.controls),
    )


def of(compared: Compared, cell: Cell) -> Comparison:
    (found,) = (found for found in compared.cells if found.a.cell == cell)
    return found


def bounds(found: means.Interval) -> tuple[float, float, float]:
    """In logarithms."""
    return math.log(found.low), math.log(found.estimate), math.log(found.high)


def shifted(logs: Logs, by: float) -> list[float]:
    return [log + math.log(by) for log in logs]


STEADY = [0.00, 0.01, 0.02]  # with a standard deviation of 0.01
REACH = T_95_OF_4 * 0.01 * math.sqrt(2 / 3)  # of the difference of two such


def test_the_latency_s_interval_is_welchs() -> None:
    found = of(compare(run({TO: STEADY}), run({TO: [0.52, 0.50, 0.51]})), TO)
    # As many sets of the same spread: 4 degrees of freedom.
    assert bounds(found.latency) == pytest.approx((0.5 - REACH, 0.5, 0.5 + REACH), rel=1e-5)


def test_the_intervals_allow_for_another_number_of_sets_and_another_spread() -> None:
    to_a, to_b = [0.1, 0.3, 0.2, 0.0], [0.5, 0.1]
    a, b = [0.00, 0.03, -0.02, 0.01], [0.40, 0.55]
    compared = compare(run({TO: to_a, EAGER: a}), run({TO: to_b, EAGER: b}))
    of_ratios = [np.subtract(own, to) for own, to in ((a, to_a), (b, to_b))]
    found = of(compared, EAGER)
    for shown, (before, after) in ((found.latency, (a, b)), (found.ratio, of_ratios)):
        welch = ttest_ind(after, before, equal_var=False).confidence_interval(0.95)
        assert bounds(shown)[::2] == pytest.approx((welch.low, welch.high))
        assert bounds(shown)[1] == pytest.approx(np.mean(after) - np.mean(before))
        assert shown.sets == 2


def test_an_outlying_set_is_trimmed_as_in_a_report() -> None:
    logs = [0.00, 0.01, 0.02, 0.03, 0.04, 0.05, 0.06, 5.0]
    a, b = run({TO: logs}), run({TO: shifted(logs, 1.5)})
    found = of(compare(a, b), TO).latency
    assert found.trimmed
    alone = stats.latency(a.cells[0]).estimate
    assert found.estimate == pytest.approx(stats.latency(b.cells[0]).estimate / alone)


@pytest.mark.parametrize(
    ("factor", "advice"), [(1.10, REGRESSED), (1.0, UNCHANGED), (1 / 1.10, IMPROVED)]
)
def test_a_shift_beside_the_reference_is_found(factor: float, advice: Verdict) -> None:
    a = run({TO: [1.0, 1.3, 1.1], EAGER: [0.5, 0.801, 0.599], COMPILED: [0.2, 0.5, 0.3]})
    b = run(
        {
            TO: [1.2, 1.1, 1.0],
            EAGER: shifted([0.701, 0.599, 0.5], factor),
            COMPILED: [0.4, 0.3, 0.2],
        }
    )
    found = of(compare(a, b), EAGER)
    assert (found.basis, found.advice, found.reference) == (Basis.RATIO, advice, TO)
    assert found.ratio.estimate == pytest.approx(factor)
    assert of(compare(a, b), COMPILED).advice is UNCHANGED


@pytest.mark.parametrize("factor", [1 + LEAST_EFFECT / 2, 1 / (1 + LEAST_EFFECT / 2)])
def test_a_sure_change_that_is_too_small_to_matter_is_none(factor: float) -> None:
    cells = {TO: [0.0] * 3, EAGER: [0.0, 1e-4, 2e-4]}
    found = of(compare(run(cells), run(cells | {EAGER: shifted(cells[EAGER], factor)})), EAGER)
    assert not found.ratio.contains(1)
    assert found.advice is UNCHANGED


def test_drift_cancels_in_the_ratio_of_ratios_and_not_in_the_latency() -> None:
    a = {TO: [0.0, 0.1, 0.2], EAGER: [-0.20, -0.11, 0.01]}
    b = {TO: [0.1, 0.0, 0.2], EAGER: [-0.10, -0.19, 0.01]}
    drift = np.log([1.3, 1.05, 1.1])
    drifted = {cell: list(np.add(logs, drift)) for cell, logs in b.items()}
    still, moved = (of(compare(run(a), run(then)), EAGER) for then in (b, drifted))
    assert bounds(moved.ratio) == pytest.approx(bounds(still.ratio), abs=1e-12)
    assert moved.advice is still.advice is UNCHANGED
    factor = math.exp(np.mean(drift))
    assert moved.latency.estimate == pytest.approx(still.latency.estimate * factor)


@pytest.mark.parametrize(
    ("factor", "advice"),
    [(1.0, UNCHANGED), (1.1, None), (1.3, INCONCLUSIVE), (1 / 1.1, None), (1 / 1.3, INCONCLUSIVE)],
)
def test_the_reference_is_taken_to_have_drifted_where_it_can_have(
    factor: float, advice: Verdict | None
) -> None:
    a = run({TO: [0.0, 1e-3, 2e-3], EAGER: STEADY})
    b = run({TO: shifted([0.0, 1e-3, 2e-3], factor), EAGER: STEADY})
    found = of(compare(a, b), TO)
    assert (found.is_reference, found.basis, found.advice) == (True, Basis.LATENCY, advice)
    assert found.ratio.estimate == 1


# The bound of drift is the same either way: 1.2 times as long, or as short.
@pytest.mark.parametrize("factor", [1.001 * (1 + DRIFT), 1 / (1.001 * (1 + DRIFT))])
def test_a_reference_beyond_drift_leaves_every_group_inconclusive(factor: float) -> None:
    other_to, other = replace(TO, batch_size=8), replace(EAGER, batch_size=8)
    a = run_of_two_groups({TO: STEADY, EAGER: STEADY}, {other_to: STEADY, other: STEADY})
    # The other group's reference stands still, and a cell beside it is slower for sure.
    b = run_of_two_groups(
        {TO: shifted(STEADY, factor), EAGER: shifted(STEADY, factor)},
        {other_to: STEADY, other: shifted(STEADY, 1.5)},
    )
    compared = compare(a, b)
    assert [found.a.cell for found in compared.beyond_drift] == [TO]
    assert {found.advice for found in compared.cells} == {INCONCLUSIVE}
    assert of(compared, other).ratio.estimate == pytest.approx(1.5)  # the figures stay
    for fail_on, code in (((), 0), (("regressed",), 0), (("inconclusive",), 3)):
        assert compared.exit_code(fail_on) == code
    assert compared.exit_code(("regressed", "inconclusive")) == 3


@pytest.mark.parametrize("factor", [0.999 * (1 + DRIFT), 1 / (0.999 * (1 + DRIFT))])
def test_a_reference_just_within_drift_leaves_verdicts_as_they_are(factor: float) -> None:
    a = run({TO: STEADY, EAGER: STEADY, COMPILED: STEADY})
    b = run(
        {
            TO: shifted(STEADY, factor),
            EAGER: shifted(STEADY, factor * 1.5),
            COMPILED: shifted(STEADY, factor / 1.5),
        }
    )
    compared = compare(a, b)
    assert compared.beyond_drift == ()
    assert [found.advice for found in compared.cells] == [None, REGRESSED, IMPROVED]
    assert compared.exit_code(["regressed"]) == 1


def test_one_set_is_enough_to_see_a_reference_beyond_drift() -> None:
    a, b = run({TO: [0.0], EAGER: [0.0]}), run({TO: shifted([0.0], 1.5), EAGER: [0.0]})
    assert [found.a.cell for found in compare(a, b).beyond_drift] == [TO]


def test_a_reference_beyond_drift_decides_nothing_where_circumstances_may_differ() -> None:
    a = run(CELLS, cpu_family=26)
    b = run({cell: shifted(logs, 1.5) for cell, logs in CELLS.items()}, cpu_family=25)
    compared = compare(a, b, ["machine"])
    assert [found.advice for found in compared.cells] == [INCONCLUSIVE, INCONCLUSIVE]
    assert compared.exit_code(["regressed"]) == 0


@pytest.mark.parametrize(
    ("factor", "advice"),
    [
        (1.0, UNCHANGED),
        (1 + LEAST_EFFECT / 2, UNCHANGED),
        (1 - 2 * LEAST_EFFECT, INCONCLUSIVE),  # a slower one on a faster machine, for all we know
        (1 + DRIFT * 0.9, INCONCLUSIVE),
        (1 + DRIFT * 1.1, REGRESSED),
        (1 / (1 + DRIFT * 1.1), IMPROVED),
    ],
)
def test_by_latency_alone_only_more_than_drift_is_a_change(factor: float, advice: Verdict) -> None:
    logs = [0.0, 1e-3, 2e-3]  # of a cell whose reference has no figures
    found = of(compare(run({EAGER: logs}), run({EAGER: shifted(logs, factor)})), EAGER)
    assert (found.basis, found.advice) == (Basis.LATENCY, advice)


def test_without_a_common_reference_advice_goes_by_the_latency() -> None:
    cells = {TO: STEADY, EAGER: STEADY, COMPILED: STEADY}
    found = of(compare(run(cells), run(cells, to=EAGER)), COMPILED)
    assert (found.basis, found.reference) == (Basis.LATENCY, None)
    assert math.isnan(found.ratio.estimate)


def test_one_set_is_inconclusive() -> None:
    a, b = run({TO: [0.0], EAGER: [0.0]}), run({TO: STEADY, EAGER: shifted(STEADY, 2)})
    found = of(compare(a, b), EAGER)
    assert (found.basis, found.advice) == (Basis.RATIO, INCONCLUSIVE)
    assert math.isnan(found.ratio.low)


def test_the_more_cells_the_surer_a_change_must_be() -> None:
    cells = {TO: [0.0] * 3, EAGER: STEADY}
    others = {replace(EAGER, mode=f"mode{index}"): STEADY for index in range(20)}
    slower = {EAGER: shifted(STEADY, math.exp(2 * REACH))}
    few = of(compare(run(cells), run(cells | slower)), EAGER)
    many = of(compare(run(cells | others), run(cells | others | slower)), EAGER)
    assert bounds(few.ratio) == pytest.approx((REACH, 2 * REACH, 3 * REACH), rel=1e-5)
    assert many.ratio == few.ratio
    assert (few.advice, many.advice) == (REGRESSED, INCONCLUSIVE)


def test_what_a_run_says_not_to_trust_is_inconclusive() -> None:
    cells = {TO: STEADY, EAGER: STEADY}
    a, b = run(cells), run(cells | {EAGER: shifted(STEADY, 1.5)})
    assert of(compare(a, b), EAGER).advice is REGRESSED
    off = replace(b, controls=(record(b.controls[0].cell, shifted(STEADY, 1.5)),))
    busy = replace(a, rounds=tuple(replace(r, voided=True) for r in runs.rounds(EAGER)))
    for one, other in ((a, off), (off, a), (busy, b)):
        assert {found.advice for found in compare(one, other).cells} <= {INCONCLUSIVE, None}


def test_failing_is_asked_for_by_name() -> None:
    cells = {TO: STEADY, EAGER: STEADY, COMPILED: [0.0, 0.5, -0.5]}
    slower = cells | {EAGER: shifted(STEADY, 1.5)}
    compared = compare(run(cells), run(slower))
    assert [found.advice for found in compared.cells] == [UNCHANGED, REGRESSED, INCONCLUSIVE]
    assert compared.exit_code(()) == 0
    assert compared.exit_code(["regressed"]) == 1
    assert compared.exit_code(["inconclusive"]) == 3
    assert compared.exit_code(["inconclusive", "regressed"]) == 1
    same = compare(run({TO: STEADY}), run({TO: STEADY}))
    assert same.exit_code(["inconclusive", "regressed"]) == 0


DIFFERENT: list[tuple[str, str, Any, Any]] = [
    ("machine", "cpu", "AMD EPYC", "Intel Xeon"),
    ("machine", "cpu_family", 26, 25),
    ("machine", "cpu_model", 2, 17),
    ("machine", "cpu_stepping", 0, 1),
    ("machine", "cpu_cores", 2, 4),
    ("machine", "cpu_l3_bytes", 2**24, 2**25),
    ("machine", "cpu_microcode", "0x1", "0x2"),
    ("machine", "hypervisor", "none", "KVM"),
    ("machine", "physical_cores", 2, 4),
    ("machine", "cpu_capability", "AVX2", "AVX512"),
    ("threads", "threads", 2, 1),
    ("torch", "torch", "2.11.0", "2.12.0"),
    ("torchvision", "torchvision", "0.26.0", "0.27.0"),
    ("device", "device", "cpu", "cuda"),
]
DIFFERENT_ON_CUDA: list[tuple[str, str, Any, Any]] = [
    ("device", "device_name", "NVIDIA H100", "NVIDIA H200"),
    ("torch", "cudnn", 91000, 91100),
    ("environment", "cudnn_benchmark", False, True),
    ("driver", "driver", "570.1", "580.1"),
]
CELLS = {TO: STEADY, EAGER: STEADY}


def refused(a: RunRecord, b: RunRecord, across: Sequence[str] = ()) -> str:
    with pytest.raises(RequestError) as caught:
        compare(a, b, across)
    return str(caught.value)


def check_refused(a: RunRecord, b: RunRecord, name: str, sentence: str) -> None:
    """Refused unless ``name`` is among what may differ; then told, and judged by the latency."""
    assert f": {sentence}. To compare them nevertheless: --across {name}" in refused(a, b)
    others = [known for known in CIRCUMSTANCES if known != name]
    assert sentence in refused(a, b, others)
    compared = compare(a, b, [name])
    assert list(map(str, compared.passed)) == [sentence]
    assert {found.basis for found in compared.cells} == {Basis.LATENCY}
    assert compare(a, a).passed == ()


@pytest.mark.parametrize(("name", "fact", "a", "b"), DIFFERENT)
def test_another_circumstance_is_refused(name: str, fact: str, a: Any, b: Any) -> None:
    sentence = f"{fact} is {a!r} in A and {b!r} in B"
    check_refused(run(CELLS, **{fact: a}), run(CELLS, **{fact: b}), name, sentence)


@pytest.mark.parametrize(("name", "fact", "a", "b"), DIFFERENT_ON_CUDA)
def test_another_circumstance_on_cuda_is_refused(name: str, fact: str, a: Any, b: Any) -> None:
    one, other = (run(CELLS, device="cuda", **{fact: value}) for value in (a, b))
    check_refused(one, other, name, f"{fact} is {a!r} in A and {b!r} in B")


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        ({"MALLOC_TOP_PAD_": "1"}, "MALLOC_TOP_PAD_ is '134217728' in A and '1' in B"),
        ({}, "MALLOC_TOP_PAD_ is '134217728' in A and 'not set' in B"),
    ],
)
def test_another_variable_is_refused(variables: dict[str, str], sentence: str) -> None:
    check_refused(run(CELLS), run(CELLS, variables=variables), "environment", sentence)


def test_another_pinned_environment_python_and_image_size_are_refused() -> None:
    a = run(CELLS)
    b = replace(a, plan={**a.plan, "environment": "default"})
    check_refused(a, b, "environment", "environment is 'pinned' in A and 'default' in B")
    b = replace(a, plan={**a.plan, "image_size": 192})
    check_refused(a, b, "image-size", "image_size is 224 in A and 192 in B")
    b = replace(a, environment={**a.environment, "python": "3.12.1"})
    check_refused(a, b, "python", "python is '3.11' in A and '3.12' in B")


def test_a_cpu_is_the_machine_s_and_no_device_besides() -> None:
    other = run(CELLS, cpu="Intel Xeon", device_name="Intel Xeon")
    check_refused(run(CELLS), other, "machine", "cpu is 'AMD EPYC' in A and 'Intel Xeon' in B")


@pytest.mark.parametrize(
    ("fact", "a", "b"),
    [("mig", False, True), ("mps_seen", False, True), ("power_limit_w", 700.0, 500.0)],
)
def test_a_card_with_another_limit_or_divided_is_refused(fact: str, a: Any, b: Any) -> None:
    facts = {"mig": False, "mps_seen": False, "power_limit_w": 700.0}
    one, other = (
        run(CELLS, device="cuda", cards={"cuda": {**facts, fact: value}}) for value in (a, b)
    )
    check_refused(one, other, "card", f"{fact} is {a!r} in A and {b!r} in B")


def test_a_card_that_one_run_does_not_know_is_told_and_no_difference() -> None:
    known = run(CELLS, device="cuda", cards={"cuda": {"power_limit_w": 700.0}})
    for other in (
        run(CELLS, device="cuda"),
        run(CELLS, device="cuda", cards={"cuda": {"unknown": "no driver"}}),
    ):
        found, unknown = differences(known, other)
        assert found == []
        assert "power_limit_w" in unknown


def test_all_that_differs_is_told_at_once() -> None:
    sentence = refused(run(CELLS), run(CELLS, torch="2.12.0", threads=1, cpu="Intel Xeon"))
    assert sentence.endswith("--across machine,threads,torch")
    assert sentence.count(" in A and ") == 3


def test_what_explains_no_number_may_differ() -> None:
    variables = ABOUT["variables"] | {"CUDA_VISIBLE_DEVICES": "1", "OMP_NUM_THREADS": "2"}
    b = run(CELLS, variables=variables)
    b = replace(b, environment={**b.environment, "python": "3.11.10"})
    compared = compare(run(CELLS), b)
    assert (compared.passed, compared.unknown) == ((), ())


def test_what_a_run_does_not_tell_is_not_refused_and_told() -> None:
    compared = compare(run(CELLS), run(CELLS, threads=None, python=None))
    assert compared.unknown == ("threads", "python")
    assert of(compared, EAGER).basis is Basis.RATIO


def test_an_unknown_circumstance_is_refused_with_the_nearest() -> None:
    assert "'trch'; did you mean 'torch'?" in refused(run(CELLS), run(CELLS), ["trch"])


HALF = replace(EAGER, dtype="bf16")
HALF_TO = replace(TO, dtype="bf16")


def test_cells_that_differ_in_the_dtype_alone_are_compared_where_it_may_differ() -> None:
    a, b = run(CELLS), run({HALF_TO: STEADY, HALF: shifted(STEADY, 0.5)}, to=HALF_TO)
    assert refused(a, b) == (
        f"A and B have no cell in common: A has {TO.id} and 1 more and B has {HALF_TO.id} and 1 "
        "more; some differ in the dtype alone: --across dtype"
    )
    compared = compare(a, b, ["dtype"])
    assert [(found.a.cell, found.b.cell) for found in compared.cells] == [
        (TO, HALF_TO),
        (EAGER, HALF),
    ]
    found = of(compared, EAGER)
    assert (found.basis, found.advice) == (Basis.LATENCY, IMPROVED)
    assert compared.missing == ()


def test_a_cell_of_the_same_dtype_comes_first() -> None:
    both = {TO: STEADY, EAGER: STEADY, HALF: STEADY}
    compared = compare(run(both), run(both), ["dtype"])
    assert all(found.a.cell == found.b.cell for found in compared.cells)
    compared = compare(run(CELLS), run(both), ["dtype"])
    pairs = [(found.a.cell, found.b.cell) for found in compared.cells if found.a.cell == EAGER]
    assert pairs == [(EAGER, EAGER), (EAGER, HALF)]


def test_runs_of_other_devices_are_compared_where_these_may_differ() -> None:
    there = {replace(cell, device="cuda"): shifted(logs, 0.1) for cell, logs in CELLS.items()}
    b = run(there, to=replace(TO, device="cuda"), device="cuda", device_name="NVIDIA H100")
    b = replace(b, plan={**b.plan, "l2": "cold"})
    compared = compare(run(CELLS), b, ["device"])
    assert [found.advice for found in compared.cells] == [IMPROVED, IMPROVED]
    assert compared.unknown == ("device_name", "l2")


def test_nothing_in_common_is_refused() -> None:
    other = run({runs.BATCH: STEADY}, to=runs.BATCH)
    sentence = refused(run({TO: STEADY}), other)
    expected = f"A and B have no cell in common: A has {TO.id} and B has {runs.BATCH.id}"
    assert sentence == expected
    empty = replace(other, cells=(), controls=())
    assert refused(empty, other).endswith(f"A has none and B has {runs.BATCH.id}")


def test_what_cannot_be_compared_is_listed() -> None:
    a = run({TO: STEADY, EAGER: STEADY, COMPILED: STEADY})
    b = run({TO: STEADY, EAGER: STEADY, runs.UNVISITED: STEADY})
    failed = replace(b.cells[1], failure=runs.FAILURE)
    compared = compare(a, replace(b, cells=(b.cells[0], failed, b.cells[2])))
    assert [found.a.cell for found in compared.cells] == [TO]
    assert {(found.cell, found.run, found.is_known) for found in compared.missing} == {
        (COMPILED, "B", False),
        (EAGER, "B", True),
        (runs.UNVISITED, "A", False),
    }
    assert compared.exit_code(["regressed"]) == 0
    assert compared.exit_code(["inconclusive"]) == 3
    assert compare(a, b).exit_code(["inconclusive"]) == 0  # nobody asked for the others


def test_a_reference_that_failed_is_no_reference() -> None:
    a = run({TO: STEADY, EAGER: STEADY})
    b = replace(a, cells=(replace(a.cells[0], failure=runs.FAILURE), a.cells[1]))
    found = of(compare(a, b), EAGER)
    assert (found.basis, found.reference) == (Basis.LATENCY, None)


def test_runs_of_the_same_code_are_seldom_said_to_differ() -> None:
    draws, cells = 300, [TO, EAGER, *(replace(EAGER, mode=f"mode{index}") for index in range(4))]
    random = np.random.default_rng(5)

    def drawn() -> RunRecord:
        # Processes that differ by 3 %, on a machine that drifts by 10 % from set to set and run to
        # run: at 95 % for every cell, one run in ten would tell of a regression.
        drift = random.normal(0, 0.1) + random.normal(0, 0.1, 4)
        return run({cell: list(drift + random.normal(0, 0.03, 4)) for cell in cells})

    alarms = sum(compare(drawn(), drawn()).exit_code(["regressed"]) for _ in range(draws))
    assert alarms / draws <= 0.025 + 2 * math.sqrt(0.025 / draws)
