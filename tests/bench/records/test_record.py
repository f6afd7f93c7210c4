from dataclasses import replace

from bench.records.record import ENDED_EARLY, NO_WORKER, CellRecord, Visit
from bench.records.reported import Setup
from tests.bench import runs


def test_samples_are_in_the_order_of_the_visits() -> None:
    visits = tuple(
        Visit(set_index=0, round_index=index, host_s=host_s, device_s=device_s)
        for index, (host_s, device_s) in enumerate([((3.0, 1.0), (2.5, 0.5)), ((2.0,), (1.5,))])
    )
    record = CellRecord(cell=runs.EAGER, visits=visits)
    assert record.host_s == (3.0, 1.0, 2.0)
    assert record.device_s == (2.5, 0.5, 1.5)


def test_cell_without_visits_has_no_samples() -> None:
    record = CellRecord(cell=runs.UNVISITED)
    assert (record.host_s, record.device_s) == ((), ())


def test_reference_of_a_group_is_the_cell_with_a_control() -> None:
    assert runs.small().references() == {
        cell.group: cell for cell in (runs.REFERENCE_EAGER, runs.REFERENCE_BATCH)
    }


def test_why_a_run_ended_is_its_own_note_on_that() -> None:
    stop = f"{ENDED_EARLY}all 5 rounds of set 1 were voided: load. Wait."
    notes = ("A caveat.", stop, "The code was changed.")
    assert replace(runs.small("stopped_early"), notes=notes).why_ended == stop
    lost = f"{NO_WORKER}no memory."
    assert replace(runs.small("interrupted"), notes=(lost, "Other.")).why_ended == lost
    assert replace(runs.small("interrupted"), notes=("Other.",)).why_ended == ""
    assert replace(runs.small("complete"), notes=notes).why_ended == ""


def test_voided_visits_do_not_count() -> None:
    valid, voided = (
        Visit(set_index=0, round_index=index, host_s=(1.0 + index,), voided=bool(index))
        for index in range(2)
    )
    assert CellRecord(cell=runs.EAGER, visits=(voided, valid)).host_s == (1.0,)
    assert CellRecord(cell=runs.EAGER, visits=(voided, valid)).has_figures
    assert not CellRecord(cell=runs.EAGER, visits=(voided,)).has_figures


def test_warm_compilation_is_the_median_of_cached_sets() -> None:
    setups = tuple(
        Setup(first_call_s=seconds, compile_cached=cached)
        for seconds, cached in [(30.0, False), (5.0, True), (4.0, True), (9.0, True)]
    )
    assert CellRecord(cell=runs.COMPILED, setups=setups).compile_warm_s == 5.0
    assert CellRecord(cell=runs.COMPILED, setups=setups[:1]).compile_warm_s is None
    assert CellRecord(cell=runs.EAGER, setups=(runs.setup(0),)).compile_warm_s is None
