import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
import pytest
from scipy.stats import ttest_ind

from bench import means, stats
from bench.cells.cell import Cell
from bench.compare.advice import compare
from bench.compare.comparison import DRIFT, Basis, Compared, Comparison
from bench.errors import RequestError
from bench.gate.group_sequential import LEAST_EFFECT
from bench.gate.verdict import Verdict
from bench.machine.environment import CardFacts, Environment
from bench.records.comparability import CIRCUMSTANCES, differences
from bench.records.record import CellRecord, RunRecord, Visit
from tests.bench import runs

REGRESSED, IMPROVED, UNCHANGED, INCONCLUSIVE = Verdict
REFERENCE, EAGER, COMPILED = runs.REFERENCE_EAGER, runs.EAGER, runs.COMPILED
T_95_OF_4 = 2.776445  # Student's t with 4 degrees of freedom, two-sided 95 %
ENVIRONMENT = Environment(
    python="3.11.9",
    torch="2.11.0",
    torchvision="0.26.0",
    device="cpu",
    device_name="AMD EPYC",
    cpu="AMD EPYC",
    physical_cores=2,
    cpu_capability="AVX2",
    threads=2,
    variables={"MALLOC_TOP_PAD_": "134217728"},
)

Logs = Sequence[float]
"""Logarithms of a latency in seconds, one per set."""


def record(cell: Cell, logs: Logs) -> CellRecord:
    """Return a cell visited once per set."""
    visits = (
        Visit(set_index=index, round_index=0, host_s=(math.exp(log),))
        for index, log in enumerate(logs)
    )
    return CellRecord(cell=cell, visits=tuple(visits))


def run(cells: Mapping[Cell, Logs], *, reference: Cell = REFERENCE, **facts: Any) -> RunRecord:
    """Return a run whose control has the latencies of its reference."""
    control = record(replace(reference, control=True), cells.get(reference, ()))
    return replace(
        runs.small("complete"),
        cells=tuple(record(cell, logs) for cell, logs in cells.items()),
        controls=(control,),
        rounds=(),
        environment=msgspec.structs.replace(ENVIRONMENT, **facts),
    )


def run_of_two_groups(first: Mapping[Cell, Logs], second: Mapping[Cell, Logs]) -> RunRecord:
    """Return a run with two groups; the first cell of each is its reference."""
    groups = [run(cells, reference=next(iter(cells))) for cells in (first, second)]
    return replace(
        groups[0],
        cells=tuple(record for group in groups for record in group.cells),
        controls=tuple(control for group in groups for control in group.controls),
    )


def of_cell(compared: Compared, cell: Cell) -> Comparison:
    (comparison,) = (comparison for comparison in compared.cells if comparison.a.cell == cell)
    return comparison


def bounds(interval: means.Interval) -> tuple[float, float, float]:
    """Return low bound, estimate and high bound as logarithms."""
    return math.log(interval.low), math.log(interval.estimate), math.log(interval.high)


def shifted(logs: Logs, by: float) -> list[float]:
    return [log + math.log(by) for log in logs]


STEADY = [0.00, 0.01, 0.02]  # standard deviation 0.01
REACH = T_95_OF_4 * 0.01 * math.sqrt(2 / 3)  # half-width for the difference of two of these


def test_the_interval_of_the_latency_is_welchs() -> None:
    comparison = of_cell(
        compare(run({REFERENCE: STEADY}), run({REFERENCE: [0.52, 0.50, 0.51]})), REFERENCE
    )
    # Equal numbers of sets with equal spread have 4 degrees of freedom.
    assert bounds(comparison.latency) == pytest.approx((0.5 - REACH, 0.5, 0.5 + REACH), rel=1e-5)


def test_the_intervals_allow_for_different_numbers_of_sets_and_spreads() -> None:
    reference_a, reference_b = [0.1, 0.3, 0.2, 0.0], [0.5, 0.1]
    a, b = [0.00, 0.03, -0.02, 0.01], [0.40, 0.55]
    compared = compare(
        run({REFERENCE: reference_a, EAGER: a}), run({REFERENCE: reference_b, EAGER: b})
    )
    ratios = [np.subtract(own, to) for own, to in ((a, reference_a), (b, reference_b))]
    comparison = of_cell(compared, EAGER)
    for interval, (before, after) in ((comparison.latency, (a, b)), (comparison.ratio, ratios)):
        welch = ttest_ind(after, before, equal_var=False).confidence_interval(0.95)
        assert bounds(interval)[::2] == pytest.approx((welch.low, welch.high))
        assert bounds(interval)[1] == pytest.approx(np.mean(after) - np.mean(before))
        assert interval.sets == 2


def test_an_outlying_set_is_trimmed_as_in_a_report() -> None:
    logs = [0.00, 0.01, 0.02, 0.03, 0.04, 0.05, 0.06, 5.0]
    a, b = run({REFERENCE: logs}), run({REFERENCE: shifted(logs, 1.5)})
    latency = of_cell(compare(a, b), REFERENCE).latency
    assert latency.trimmed
    latency_a = stats.latency(a.cells[0]).estimate
    assert latency.estimate == pytest.approx(stats.latency(b.cells[0]).estimate / latency_a)


@pytest.mark.parametrize(
    ("factor", "advice"), [(1.10, REGRESSED), (1.0, UNCHANGED), (1 / 1.10, IMPROVED)]
)
def test_a_shift_relative_to_the_reference_is_found(factor: float, advice: Verdict) -> None:
    a = run({REFERENCE: [1.0, 1.3, 1.1], EAGER: [0.5, 0.801, 0.599], COMPILED: [0.2, 0.5, 0.3]})
    b = run(
        {
            REFERENCE: [1.2, 1.1, 1.0],
            EAGER: shifted([0.701, 0.599, 0.5], factor),
            COMPILED: [0.4, 0.3, 0.2],
        }
    )
    comparison = of_cell(compare(a, b), EAGER)
    assert (comparison.basis, comparison.advice, comparison.reference) == (
        Basis.RATIO,
        advice,
        REFERENCE,
    )
    assert comparison.ratio.estimate == pytest.approx(factor)
    assert of_cell(compare(a, b), COMPILED).advice is UNCHANGED


@pytest.mark.parametrize("factor", [1 + LEAST_EFFECT / 2, 1 / (1 + LEAST_EFFECT / 2)])
def test_a_significant_change_below_the_least_effect_is_unchanged(factor: float) -> None:
    cells = {REFERENCE: [0.0] * 3, EAGER: [0.0, 1e-4, 2e-4]}
    comparison = of_cell(
        compare(run(cells), run(cells | {EAGER: shifted(cells[EAGER], factor)})), EAGER
    )
    assert not comparison.ratio.contains(1)
    assert comparison.advice is UNCHANGED


def test_drift_cancels_in_the_ratio_of_ratios_and_not_in_the_latency() -> None:
    a = {REFERENCE: [0.0, 0.1, 0.2], EAGER: [-0.20, -0.11, 0.01]}
    b = {REFERENCE: [0.1, 0.0, 0.2], EAGER: [-0.10, -0.19, 0.01]}
    drift = np.log([1.3, 1.05, 1.1])
    drifted = {cell: list(np.add(logs, drift)) for cell, logs in b.items()}
    still, moved = (of_cell(compare(run(a), run(later)), EAGER) for later in (b, drifted))
    assert bounds(moved.ratio) == pytest.approx(bounds(still.ratio), abs=1e-12)
    assert moved.advice is still.advice is UNCHANGED
    factor = math.exp(np.mean(drift))
    assert moved.latency.estimate == pytest.approx(still.latency.estimate * factor)


@pytest.mark.parametrize(
    ("factor", "advice"),
    [(1.0, UNCHANGED), (1.1, None), (1.3, INCONCLUSIVE), (1 / 1.1, None), (1 / 1.3, INCONCLUSIVE)],
)
def test_a_reference_gets_no_advice_if_drift_may_explain_its_change(
    factor: float, advice: Verdict | None
) -> None:
    a = run({REFERENCE: [0.0, 1e-3, 2e-3], EAGER: STEADY})
    b = run({REFERENCE: shifted([0.0, 1e-3, 2e-3], factor), EAGER: STEADY})
    comparison = of_cell(compare(a, b), REFERENCE)
    assert (comparison.is_reference, comparison.basis, comparison.advice) == (
        True,
        Basis.LATENCY,
        advice,
    )
    assert comparison.ratio.estimate == 1


# Drift is bounded in both directions: 1.2 times as long, or 1 / 1.2.
@pytest.mark.parametrize("factor", [1.001 * (1 + DRIFT), 1 / (1.001 * (1 + DRIFT))])
def test_a_reference_beyond_drift_leaves_every_group_inconclusive(factor: float) -> None:
    other_reference, other = replace(REFERENCE, batch_size=8), replace(EAGER, batch_size=8)
    a = run_of_two_groups(
        {REFERENCE: STEADY, EAGER: STEADY}, {other_reference: STEADY, other: STEADY}
    )
    # The other group's reference does not change, and its other cell is significantly slower.
    b = run_of_two_groups(
        {REFERENCE: shifted(STEADY, factor), EAGER: shifted(STEADY, factor)},
        {other_reference: STEADY, other: shifted(STEADY, 1.5)},
    )
    compared = compare(a, b)
    assert [comparison.a.cell for comparison in compared.beyond_drift] == [REFERENCE]
    assert {comparison.advice for comparison in compared.cells} == {INCONCLUSIVE}
    assert of_cell(compared, other).ratio.estimate == pytest.approx(1.5)  # the figures are kept
    for fail_on, code in (((), 0), (("regressed",), 0), (("inconclusive",), 3)):
        assert compared.exit_code(fail_on) == code
    assert compared.exit_code(("regressed", "inconclusive")) == 3


@pytest.mark.parametrize("factor", [0.999 * (1 + DRIFT), 1 / (0.999 * (1 + DRIFT))])
def test_a_reference_just_within_drift_does_not_change_the_advice(factor: float) -> None:
    a = run({REFERENCE: STEADY, EAGER: STEADY, COMPILED: STEADY})
    b = run(
        {
            REFERENCE: shifted(STEADY, factor),
            EAGER: shifted(STEADY, factor * 1.5),
            COMPILED: shifted(STEADY, factor / 1.5),
        }
    )
    compared = compare(a, b)
    assert compared.beyond_drift == ()
    assert [comparison.advice for comparison in compared.cells] == [None, REGRESSED, IMPROVED]
    assert compared.exit_code(["regressed"]) == 1


def test_one_set_is_enough_to_detect_a_reference_beyond_drift() -> None:
    a, b = (
        run({REFERENCE: [0.0], EAGER: [0.0]}),
        run({REFERENCE: shifted([0.0], 1.5), EAGER: [0.0]}),
    )
    assert [comparison.a.cell for comparison in compare(a, b).beyond_drift] == [REFERENCE]


def test_a_reference_beyond_drift_is_inconclusive_if_circumstances_may_differ() -> None:
    a = run(CELLS, cpu_family=26)
    b = run({cell: shifted(logs, 1.5) for cell, logs in CELLS.items()}, cpu_family=25)
    compared = compare(a, b, ["machine"])
    assert [comparison.advice for comparison in compared.cells] == [INCONCLUSIVE, INCONCLUSIVE]
    assert compared.exit_code(["regressed"]) == 0


@pytest.mark.parametrize(
    ("factor", "advice"),
    [
        (1.0, UNCHANGED),
        (1 + LEAST_EFFECT / 2, UNCHANGED),
        (1 - 2 * LEAST_EFFECT, INCONCLUSIVE),  # it may be a slower cell on a faster machine
        (1 + DRIFT * 0.9, INCONCLUSIVE),
        (1 + DRIFT * 1.1, REGRESSED),
        (1 / (1 + DRIFT * 1.1), IMPROVED),
    ],
)
def test_with_only_the_latency_a_change_must_exceed_drift(factor: float, advice: Verdict) -> None:
    logs = [0.0, 1e-3, 2e-3]  # latencies of a cell whose reference has no figures
    comparison = of_cell(compare(run({EAGER: logs}), run({EAGER: shifted(logs, factor)})), EAGER)
    assert (comparison.basis, comparison.advice) == (Basis.LATENCY, advice)


def test_without_a_common_reference_advice_is_based_on_the_latency() -> None:
    cells = {REFERENCE: STEADY, EAGER: STEADY, COMPILED: STEADY}
    comparison = of_cell(compare(run(cells), run(cells, reference=EAGER)), COMPILED)
    assert (comparison.basis, comparison.reference) == (Basis.LATENCY, None)
    assert math.isnan(comparison.ratio.estimate)


def test_one_set_is_inconclusive() -> None:
    a, b = (
        run({REFERENCE: [0.0], EAGER: [0.0]}),
        run({REFERENCE: STEADY, EAGER: shifted(STEADY, 2)}),
    )
    comparison = of_cell(compare(a, b), EAGER)
    assert (comparison.basis, comparison.advice) == (Basis.RATIO, INCONCLUSIVE)
    assert math.isnan(comparison.ratio.low)


def test_a_change_needs_more_significance_with_more_cells() -> None:
    cells = {REFERENCE: [0.0] * 3, EAGER: STEADY}
    more_cells = {replace(EAGER, mode=f"mode{index}"): STEADY for index in range(20)}
    slower = {EAGER: shifted(STEADY, math.exp(2 * REACH))}
    few = of_cell(compare(run(cells), run(cells | slower)), EAGER)
    many = of_cell(compare(run(cells | more_cells), run(cells | more_cells | slower)), EAGER)
    assert bounds(few.ratio) == pytest.approx((REACH, 2 * REACH, 3 * REACH), rel=1e-5)
    assert many.ratio == few.ratio
    assert (few.advice, many.advice) == (REGRESSED, INCONCLUSIVE)


def test_a_group_that_a_run_says_not_to_trust_is_inconclusive() -> None:
    cells = {REFERENCE: STEADY, EAGER: STEADY}
    a, b = run(cells), run(cells | {EAGER: shifted(STEADY, 1.5)})
    assert of_cell(compare(a, b), EAGER).advice is REGRESSED
    off_control = replace(b, controls=(record(b.controls[0].cell, shifted(STEADY, 1.5)),))
    busy = replace(a, rounds=tuple(replace(each, voided=True) for each in runs.rounds(EAGER)))
    loaded = replace(
        b,
        plan=msgspec.structs.replace(b.plan, default_foreign_cpus=0.15),
        rounds=tuple(replace(each, foreign_cpus=1.0) for each in runs.rounds(EAGER)),
    )
    for first, second in ((a, off_control), (off_control, a), (busy, b), (a, loaded)):
        assert {comparison.advice for comparison in compare(first, second).cells} <= {
            INCONCLUSIVE,
            None,
        }


def test_the_exit_code_depends_on_the_advice_to_fail_on() -> None:
    cells = {REFERENCE: STEADY, EAGER: STEADY, COMPILED: [0.0, 0.5, -0.5]}
    slower = cells | {EAGER: shifted(STEADY, 1.5)}
    compared = compare(run(cells), run(slower))
    assert [comparison.advice for comparison in compared.cells] == [
        UNCHANGED,
        REGRESSED,
        INCONCLUSIVE,
    ]
    assert compared.exit_code(()) == 0
    assert compared.exit_code(["regressed"]) == 1
    assert compared.exit_code(["inconclusive"]) == 3
    assert compared.exit_code(["inconclusive", "regressed"]) == 1
    same = compare(run({REFERENCE: STEADY}), run({REFERENCE: STEADY}))
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
CELLS = {REFERENCE: STEADY, EAGER: STEADY}


def refused(a: RunRecord, b: RunRecord, across: Sequence[str] = ()) -> str:
    """Return the message with which comparing the runs is refused."""
    with pytest.raises(RequestError) as caught:
        compare(a, b, across)
    return str(caught.value)


def check_refused(a: RunRecord, b: RunRecord, name: str, sentence: str) -> None:
    """Check that the runs are refused unless ``name`` may differ.

    If it may, the difference is reported, and advice is based on the latency.
    """
    assert f": {sentence}. To compare them anyway: --across {name}" in refused(a, b)
    other_names = [known for known in CIRCUMSTANCES if known != name]
    assert sentence in refused(a, b, other_names)
    compared = compare(a, b, [name])
    assert list(map(str, compared.allowed)) == [sentence]
    assert {comparison.basis for comparison in compared.cells} == {Basis.LATENCY}
    assert compare(a, a).allowed == ()


@pytest.mark.parametrize(("name", "fact", "a", "b"), DIFFERENT)
def test_another_circumstance_is_refused(name: str, fact: str, a: Any, b: Any) -> None:
    sentence = f"{fact} is {a!r} in A and {b!r} in B"
    check_refused(run(CELLS, **{fact: a}), run(CELLS, **{fact: b}), name, sentence)


@pytest.mark.parametrize(("name", "fact", "a", "b"), DIFFERENT_ON_CUDA)
def test_another_circumstance_on_cuda_is_refused(name: str, fact: str, a: Any, b: Any) -> None:
    run_a, run_b = (run(CELLS, device="cuda", **{fact: value}) for value in (a, b))
    check_refused(run_a, run_b, name, f"{fact} is {a!r} in A and {b!r} in B")


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
    b = replace(a, plan=msgspec.structs.replace(a.plan, environment="default"))
    check_refused(a, b, "environment", "environment is 'pinned' in A and 'default' in B")
    b = replace(a, plan=msgspec.structs.replace(a.plan, image_size=192))
    check_refused(a, b, "image-size", "image_size is 224 in A and 192 in B")
    b = runs.in_environment(a, python="3.12.1")
    check_refused(a, b, "python", "python is '3.11' in A and '3.12' in B")


def test_another_cpu_is_one_difference_of_the_machine() -> None:
    other = run(CELLS, cpu="Intel Xeon", device_name="Intel Xeon")
    check_refused(run(CELLS), other, "machine", "cpu is 'AMD EPYC' in A and 'Intel Xeon' in B")


@pytest.mark.parametrize(
    ("fact", "a", "b"),
    [("mig", False, True), ("mps_seen", False, True), ("power_limit_w", 700.0, 500.0)],
)
def test_a_card_with_another_power_limit_or_division_is_refused(fact: str, a: Any, b: Any) -> None:
    facts = CardFacts(mig=False, mps_seen=False, power_limit_w=700.0)
    run_a, run_b = (
        run(CELLS, device="cuda", cards={"cuda": msgspec.structs.replace(facts, **{fact: value})})
        for value in (a, b)
    )
    check_refused(run_a, run_b, "card", f"{fact} is {a!r} in A and {b!r} in B")


def test_a_card_that_one_run_does_not_know_is_unknown_and_not_a_difference() -> None:
    known = run(CELLS, device="cuda", cards={"cuda": CardFacts(power_limit_w=700.0)})
    for other in (
        run(CELLS, device="cuda"),
        run(CELLS, device="cuda", cards={"cuda": CardFacts(unknown="no driver")}),
    ):
        differing, unknown = differences(known, other)
        assert differing == []
        assert "power_limit_w" in unknown


def test_all_differences_are_reported_at_once() -> None:
    sentence = refused(run(CELLS), run(CELLS, torch="2.12.0", threads=1, cpu="Intel Xeon"))
    assert sentence.endswith("--across machine,threads,torch")
    assert sentence.count(" in A and ") == 3


def test_facts_that_do_not_affect_figures_may_differ() -> None:
    variables = {**ENVIRONMENT.variables, "CUDA_VISIBLE_DEVICES": "1", "OMP_NUM_THREADS": "2"}
    b = run(CELLS, variables=variables)
    b = runs.in_environment(b, python="3.11.10")
    compared = compare(run(CELLS), b)
    assert (compared.allowed, compared.unknown) == ((), ())


def test_a_fact_that_one_run_lacks_is_unknown_and_not_refused() -> None:
    compared = compare(run(CELLS), run(CELLS, threads=None, python=None))
    assert compared.unknown == ("threads", "python")
    assert of_cell(compared, EAGER).basis is Basis.RATIO


def test_an_unknown_circumstance_is_refused_with_the_nearest() -> None:
    assert "'trch'; did you mean 'torch'?" in refused(run(CELLS), run(CELLS), ["trch"])


HALF = replace(EAGER, dtype="bf16")
HALF_REFERENCE = replace(REFERENCE, dtype="bf16")


def test_cells_that_differ_only_in_the_dtype_are_compared_if_it_may_differ() -> None:
    a, b = (
        run(CELLS),
        run({HALF_REFERENCE: STEADY, HALF: shifted(STEADY, 0.5)}, reference=HALF_REFERENCE),
    )
    assert refused(a, b) == (
        f"A and B have no cell in common: A has {REFERENCE.id} and 1 more and B has "
        f"{HALF_REFERENCE.id} and 1 more; some differ only in the dtype: --across dtype"
    )
    compared = compare(a, b, ["dtype"])
    assert [(comparison.a.cell, comparison.b.cell) for comparison in compared.cells] == [
        (REFERENCE, HALF_REFERENCE),
        (EAGER, HALF),
    ]
    comparison = of_cell(compared, EAGER)
    assert (comparison.basis, comparison.advice) == (Basis.LATENCY, IMPROVED)
    assert compared.missing == ()


def test_a_cell_of_the_same_dtype_comes_first() -> None:
    both = {REFERENCE: STEADY, EAGER: STEADY, HALF: STEADY}
    compared = compare(run(both), run(both), ["dtype"])
    assert all(comparison.a.cell == comparison.b.cell for comparison in compared.cells)
    compared = compare(run(CELLS), run(both), ["dtype"])
    pairs = [
        (comparison.a.cell, comparison.b.cell)
        for comparison in compared.cells
        if comparison.a.cell == EAGER
    ]
    assert pairs == [(EAGER, EAGER), (EAGER, HALF)]


def test_runs_of_other_devices_are_compared_if_devices_may_differ() -> None:
    on_cuda = {replace(cell, device="cuda"): shifted(logs, 0.1) for cell, logs in CELLS.items()}
    b = run(
        on_cuda,
        reference=replace(REFERENCE, device="cuda"),
        device="cuda",
        device_name="NVIDIA H100",
    )
    b = replace(b, plan=msgspec.structs.replace(b.plan, l2="cold"))
    compared = compare(run(CELLS), b, ["device"])
    assert [comparison.advice for comparison in compared.cells] == [IMPROVED, IMPROVED]
    assert compared.unknown == ("device_name", "l2")


def test_runs_without_a_common_cell_are_refused() -> None:
    other = run({runs.BATCH: STEADY}, reference=runs.BATCH)
    sentence = refused(run({REFERENCE: STEADY}), other)
    expected = f"A and B have no cell in common: A has {REFERENCE.id} and B has {runs.BATCH.id}"
    assert sentence == expected
    empty = replace(other, cells=(), controls=())
    assert refused(empty, other).endswith(f"A has none and B has {runs.BATCH.id}")


def test_cells_that_cannot_be_compared_are_listed() -> None:
    a = run({REFERENCE: STEADY, EAGER: STEADY, COMPILED: STEADY})
    b = run({REFERENCE: STEADY, EAGER: STEADY, runs.UNVISITED: STEADY})
    failed = replace(b.cells[1], failure=runs.FAILURE)
    compared = compare(a, replace(b, cells=(b.cells[0], failed, b.cells[2])))
    assert [comparison.a.cell for comparison in compared.cells] == [REFERENCE]
    assert {(missing.cell, missing.run, missing.is_known) for missing in compared.missing} == {
        (COMPILED, "B", False),
        (EAGER, "B", True),
        (runs.UNVISITED, "A", False),
    }
    assert compared.exit_code(["regressed"]) == 0
    assert compared.exit_code(["inconclusive"]) == 3
    assert compare(a, b).exit_code(["inconclusive"]) == 0  # cells of one run only do not count


def test_a_reference_that_failed_is_not_used() -> None:
    a = run({REFERENCE: STEADY, EAGER: STEADY})
    b = replace(a, cells=(replace(a.cells[0], failure=runs.FAILURE), a.cells[1]))
    comparison = of_cell(compare(a, b), EAGER)
    assert (comparison.basis, comparison.reference) == (Basis.LATENCY, None)


def test_runs_of_the_same_code_rarely_get_a_regression() -> None:
    draws, cells = (
        300,
        [REFERENCE, EAGER, *(replace(EAGER, mode=f"mode{index}") for index in range(4))],
    )
    random = np.random.default_rng(5)

    def random_run() -> RunRecord:
        # Processes differ by 3 %, and the machine drifts by 10 % from set to set and from run to
        # run. With 95 % for every cell, one run in ten would report a regression.
        drift = random.normal(0, 0.1) + random.normal(0, 0.1, 4)
        return run({cell: list(drift + random.normal(0, 0.03, 4)) for cell in cells})

    alarms = sum(compare(random_run(), random_run()).exit_code(["regressed"]) for _ in range(draws))
    assert alarms / draws <= 0.025 + 2 * math.sqrt(0.025 / draws)
