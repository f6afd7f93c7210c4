import re
from dataclasses import replace

import pytest

from bench.cells import waves
from bench.metrics import METRICS, ordered
from bench.metrics.metric import MeasuredCell, Metric, Place
from bench.records.record import BackToBack, CellRecord
from tests.bench import runs
from tests.bench.gate import gates

UNITS = {"s", "bytes", "J", "images/s", "MAC/s"}


@pytest.mark.parametrize("metric", METRICS.values(), ids=METRICS)
def test_the_name_in_files_ends_with_the_unit(metric: Metric) -> None:
    assert metric.unit in {"", *UNITS}
    endings = {"images/s": "images_per_s", "MAC/s": "mac_per_s", "J": "j"}
    assert metric.name.endswith(endings.get(metric.unit, metric.unit))
    assert re.fullmatch("[a-z0-9_]+", metric.name)


def test_every_metric_has_a_place_of_its_own_among_the_columns() -> None:
    orders = [metric.order for metric in ordered()]
    assert len(orders) == len(set(orders))


def test_a_lower_bound_is_told_by_another_metric() -> None:
    assert {metric.at_least for metric in METRICS.values()} <= {"", *METRICS}


@pytest.mark.parametrize("metric", METRICS.values(), ids=METRICS)
def test_a_metric_of_the_tables_is_explained_or_obvious(metric: Metric) -> None:
    obvious = {"params", "sets", "samples", "latency_p50_s", "images_per_s_from"}
    if Place.SUMMARY in metric.places and metric.name not in obvious:
        assert metric.explanation.endswith(".")


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (1.0, 1.0, "1.0"),
        (1.0, 2.0, "1.0 → 2.0"),
        (None, 2.0, "– → 2.0"),
        (0.0, 0.0, None),
        (None, float("nan"), None),
    ],
)
def test_a_change_is_told_once_if_there_is_none(
    before: float | None, after: float | None, expected: str | None
) -> None:
    metric = Metric(name="x", heading="x", compute=lambda _: None, write="{:.1f}".format)
    assert metric.change(before, after) == expected


def test_a_small_change_of_a_count_is_shown_in_full() -> None:
    metric = METRICS["params"]
    assert metric.change(6_998_552, 6_998_553) == "6,998,552 → 6,998,553"
    assert metric.change(6_998_552, 6_998_552) == "6.999"


def test_a_change_of_lower_bounds_says_so() -> None:
    metric = METRICS["macs_per_image"]
    assert metric.change(1e9, 2e9, are_bounds=(True, False)) == "≥ 1.000 → 2.000"
    assert metric.change(1e9, 1e9, are_bounds=(True, True)) == "≥ 1.000"


def test_the_base_of_a_gate_is_compared_with_the_bases_reference() -> None:
    """Base takes twice as long, but its ratio to its own reference is the same."""
    slow = {runs.EAGER: [2.0, 2.0], runs.REFERENCE_EAGER: [1.0, 1.0]}
    small = runs.small("complete")
    run = replace(
        small,
        cells=tuple(gates.measured(cell, seconds) for cell, seconds in slow.items()),
        bases=tuple(
            gates.measured(waves.base(cell), [2 * second for second in seconds])
            for cell, seconds in slow.items()
        ),
        controls=tuple(
            CellRecord(cell=replace(cell, control=True)) for cell in [runs.REFERENCE_EAGER]
        ),
    )
    for records in (run.cells, run.bases):
        values = METRICS["speedup_over_reference"].columns(MeasuredCell.of_run(records[0], run))
        assert values["speedup_over_reference"] == pytest.approx(0.5)


WRITTEN = {
    "params": (6_998_552, "6.999"),  # M
    "params_with_aux": (13_385_816, "13.386"),  # M
    "macs_per_image": (1_582_671_872, "1.583"),  # G
    "flops_per_image": (3_165_343_744, "3.165"),  # G
    "fvcore_total_per_image": (1_591_000_000, "1.591"),  # G
    "mac_per_s": (61_300_000_000, "61.3"),  # G/s
    "share_of_ceiling": (0.42, "42"),  # %
    "share_of_attainable": (0.42, "42"),  # %
    "busy_share": (0.42, "42"),  # %
    "latency_s": (0.0125, "12.5"),  # ms
    "latency_p50_s": (0.0125, "12.5"),
    "latency_p90_s": (0.0125, "12.5"),
    "latency_p99_s": (0.0125, "12.5"),
    "device_p50_s": (0.0125, "12.5"),
    "enqueue_p50_s": (0.0125, "12.5"),
    "span_p50_s": (0.0125, "12.5"),
    "busy_p50_s": (0.0125, "12.5"),
    "images_per_s": (1234.56, "1,234.6"),
    "speedup_over_reference": (1.25, "1.250"),
    "speedup_over_reference_same_mode": (1.25, "1.250"),
    "energy_per_image_j": (0.25, "0.25"),
    "peak_memory_bytes": (3 * 1_048_576, "3"),  # MiB
    "peak_reserved_bytes": (3 * 1_048_576, "3"),
    "peak_allocated_bytes": (3 * 1_048_576, "3"),
    "peak_resident_bytes": (3 * 1_048_576, "3"),
    "resident_before_build_bytes": (3 * 1_048_576, "3"),
    "compile_cold_s": (12.34, "12.3"),
    "compile_warm_s": (12.34, "12.3"),
    "graph_breaks": (2, "2"),
    "output_error": (0.000123, "1.2e-04"),
    "error_bound": (0.001, "1.0e-03"),
    "gradient_error": (0.000123, "1.2e-04"),
    "image_size": (224, "224×224"),
}


def test_values_are_written_in_the_unit_of_the_heading() -> None:
    written = {name: METRICS[name].write(value) for name, (value, _) in WRITTEN.items()}
    assert written == {name: text for name, (_, text) in WRITTEN.items()}
    others = {name for name, metric in METRICS.items() if metric.write is not str}
    assert others - WRITTEN.keys() <= {"accuracy"}


def test_flops_are_two_per_multiply_accumulate() -> None:
    run = runs.small()
    assert METRICS["flops_per_image"].compute(MeasuredCell.of_run(run.cells[0], run)) == (
        2 * 1_582_671_872
    )


def test_times_of_blocks_are_per_iteration() -> None:
    run = runs.small()
    block = BackToBack(iterations=5, enqueue_s=1.0, host_s=10.0, device_s=8.0, busy_s=1.5)
    visits = (replace(run.cells[0].visits[0], back_to_back=block),)
    cell = MeasuredCell.of_run(replace(run.cells[0], visits=visits), run)
    names = ("enqueue_p50_s", "span_p50_s", "busy_p50_s")
    found = [METRICS[name].compute(cell) for name in names]
    assert found == [pytest.approx(1.0 / 5), pytest.approx(8.0 / 5), pytest.approx(1.5)]
