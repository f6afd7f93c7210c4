from dataclasses import replace

import msgspec
import pytest

from bench.names import RequestError
from bench.records import events
from bench.records.outcome import Outcome, check_same, check_same_environment
from bench.records.record import BackToBack, CellRecord
from tests.bench import runs
from tests.bench.records.test_journal import BEGAN, GROUP, PLAN

BATCH_PLAN = replace(PLAN, cells=(*PLAN.cells, runs.REFERENCE_BATCH))


def visited(cell: str, set_index: int, round_index: int, host_s: float) -> events.Visited:
    return events.Visited(
        cell=cell,
        set_index=set_index,
        wave_index=0,
        round_index=round_index,
        dropped_s=1.0,
        host_s=(host_s,),
        device_s=(),
    )


def ended(group: str, set_index: int, round_index: int, *, voided: bool = False) -> events.Event:
    return events.RoundEnded(
        group=group,
        set_index=set_index,
        wave_index=0,
        round_index=round_index,
        wall_s=10.0,
        foreign_cpus=0.0,
        voided=voided,
    )


def outcome(*told: events.Event) -> Outcome:
    return Outcome.from_events([replace_plan(BATCH_PLAN), *told])


def replace_plan(plan: object) -> events.Began:
    return events.Began(
        schema_version=BEGAN.schema_version,
        plan=plan,  # type: ignore[arg-type]
        environment=BEGAN.environment,
    )


def record(found: Outcome, cell: str) -> CellRecord:
    return next(r for r in (*found.records(), *found.controls()) if r.cell.id == cell)


def test_a_block_is_its_visit_s_and_of_the_time_spent_measuring() -> None:
    block = BackToBack(iterations=4, enqueue_s=0.25, host_s=2.0, device_s=1.5)
    event = msgspec.structs.replace(visited(runs.EAGER.id, 0, 0, 0.5), back_to_back=block)
    found = outcome(events.WaveBegan(GROUP, 0, 0), event, ended(GROUP, 0, 0))
    (visit,) = record(found, runs.EAGER.id).visits
    assert visit.back_to_back == block
    assert found.phases_s["measuring"] == 1.0 + 0.5 + 2.0


def test_disturbed_iterations_are_their_visit_s_and_of_the_time_spent_measuring() -> None:
    event = msgspec.structs.replace(visited(runs.EAGER.id, 0, 0, 0.5), disturbed_s=(2.0, 4.0))
    found = outcome(events.WaveBegan(GROUP, 0, 0), event, ended(GROUP, 0, 0))
    (visit,) = record(found, runs.EAGER.id).visits
    assert (visit.host_s, visit.disturbed_s) == ((0.5,), (2.0, 4.0))
    assert found.phases_s["measuring"] == 1.0 + 0.5 + 2.0 + 4.0


def test_a_run_that_was_cut_off_is_interrupted() -> None:
    found = outcome()
    assert found.status == "interrupted"
    assert found.environment == BEGAN.environment
    assert not found.measured_anything
    assert found.run_record().plan["rounds"] == PLAN.rounds


def test_a_round_counts_once_it_was_judged() -> None:
    name = runs.EAGER.id
    found = outcome(
        visited(name, 0, 0, 1.0),
        ended(GROUP, 0, 0),
        visited(name, 0, 1, 2.0),
        ended(GROUP, 0, 1, voided=True),
        visited(name, 0, 2, 3.0),
    )
    assert [visit.voided for visit in record(found, name).visits] == [False, True, True]
    assert record(found, name).host_s == (1.0,)


def test_a_wave_that_begins_again_supersedes_itself_alone() -> None:
    other, batch = runs.EAGER.id, runs.REFERENCE_BATCH
    facts = events.WorkerReported(cell=other, set_index=1, wave_index=0, facts={"graphs": 1})
    found = outcome(
        visited(other, 0, 0, 1.0),
        ended(GROUP, 0, 0),
        visited(other, 1, 0, 2.0),
        ended(GROUP, 1, 0),
        facts,
        visited(batch.id, 1, 0, 3.0),
        ended(batch.group, 1, 0),
        events.WaveBegan(GROUP, 1, 0),
    )
    assert record(found, other).host_s == (1.0,)
    assert record(found, other).setups == ()
    assert record(found, batch.id).host_s == (3.0,)


def test_wall_time_is_measuring_and_idling() -> None:
    found = outcome(
        visited(runs.EAGER.id, 0, 0, 2.0),
        visited(runs.REFERENCE_EAGER.id, 0, 0, 3.0),
        ended(GROUP, 0, 0),
        events.PhaseTimed(phase="preparing", seconds=4.0),
        events.PhaseTimed(phase="preparing", seconds=0.5),
    )
    measuring = (1.0 + 2.0) + (1.0 + 3.0)  # what was dropped, and what counts
    assert found.phases_s == {"measuring": measuring, "idling": 10.0 - measuring, "preparing": 4.5}


def test_waves_are_those_of_the_last_split() -> None:
    found = outcome(
        events.Split(group=GROUP, waves=((runs.EAGER.id,), ()), reason="memory was short")
    )
    assert [wave.own for wave in found.waves[GROUP]] == [(runs.EAGER,), ()]
    assert found.notes == ["memory was short"]


def test_a_cold_compilation_is_its_cells() -> None:
    found = outcome(events.Compiled(cell=runs.EAGER.id, seconds=31.0))
    assert record(found, runs.EAGER.id).compile_cold_s == 31.0


def test_a_ceiling_is_its_dtype_s_and_one_that_is_not_known_is_a_note() -> None:
    facts = runs.CEILINGS["fp32"]
    found = outcome(
        events.PeakMeasured(dtype="fp32", facts=facts),
        events.PeakMeasured(dtype="bf16", facts={"error": "the worker died"}),
    )
    kept = found.run_record()
    assert kept.ceilings == {"fp32": facts, "bf16": {"error": "the worker died"}}
    assert kept.notes == ("The ceiling of bf16 is not known: the worker died.",)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"rounds": 4}, "rounds is 4 where the run was begun with 3"),
        ({"sets": 9}, "sets is 9 where the run was begun with 2"),
        ({"seed": 8}, "seed is 8 where the run was begun with 7"),
        ({"environment": "default"}, "environment is 'default' where .* 'pinned'"),
        ({"cells": (runs.EAGER,)}, "1 cells where the run was begun with 2; .*torchvision/eager"),
    ],
)
def test_another_plan_is_refused_by_name(changed: dict[str, object], words: str) -> None:
    with pytest.raises(RequestError, match=words):
        check_same(replace(PLAN, **changed), PLAN)  # type: ignore[arg-type]


def test_another_budget_is_not_another_plan() -> None:
    check_same(replace(PLAN, budget_s=60.0, extra_s=60.0, command="other"), PLAN)


def test_a_ceiling_more_or_less_is_not_another_plan() -> None:
    """It is in no timing; and runs were begun before there were ceilings."""
    check_same(replace(PLAN, ceiling=True), PLAN)
    check_same(PLAN, replace(PLAN, ceiling=True))


def test_another_environment_is_refused_by_name() -> None:
    check_same_environment({"torch": "2.11.0"}, {"torch": "2.11.0"})
    with pytest.raises(RequestError, match=r"torch is '2.12.0' here .* begun with '2.11.0'"):
        check_same_environment({"torch": "2.12.0"}, {"torch": "2.11.0"})


def test_resuming_on_another_cpu_names_every_fact_that_differs() -> None:
    here, there = (
        {"cpu": "AMD EPYC", "cpu_family": family, "cpu_model": model}
        for family, model in ((26, 2), (25, 17))
    )
    with pytest.raises(RequestError) as caught:
        check_same_environment(here, there)
    for name in ("cpu_family", "cpu_model"):
        assert f"{name} is {here[name]} here where the run was begun with {there[name]}" in str(
            caught.value
        )


def test_a_wave_is_held_that_was_measured_whole_with_no_want_of_memory() -> None:
    began, whole = events.WaveBegan(GROUP, 0, 0), events.WaveEnded(GROUP, 0, 0)
    split = events.Split(group=GROUP, waves=((runs.EAGER.id,),), reason="memory was short")
    died = events.Failed(cell=runs.EAGER.id, failure=runs.FAILURE)
    starved = msgspec.structs.replace(died, failure=replace(runs.FAILURE, kind="out_of_memory"))
    assert outcome(began).held == set()
    for short in (split, starved):
        assert outcome(began, short, whole).held == set()
        later = outcome(began, short, whole, events.WaveBegan(GROUP, 1, 0), whole)
        assert later.held == set(later.waves[GROUP])
    for found in (outcome(began, whole), outcome(began, died, whole)):
        assert found.held == set(found.waves[GROUP])
