from dataclasses import replace

import msgspec

from bench.records import events
from bench.records.code import Code
from bench.records.outcome import Outcome
from bench.records.record import BackToBack, CellRecord, Failure
from bench.records.reported import Ceiling, Setup
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


def outcome(*later_events: events.Event) -> Outcome:
    return Outcome.from_events([replace_plan(BATCH_PLAN), *later_events])


def replace_plan(plan: object) -> events.Began:
    return events.Began(
        schema_version=BEGAN.schema_version,
        plan=plan,  # type: ignore[arg-type]
        environment=BEGAN.environment,
    )


def record(result: Outcome, cell: str) -> CellRecord:
    return next(r for r in (*result.records(), *result.controls()) if r.cell.id == cell)


def test_block_belongs_to_its_visit_and_counts_as_measuring() -> None:
    block = BackToBack(iterations=4, enqueue_s=0.25, host_s=2.0, device_s=1.5)
    event = msgspec.structs.replace(visited(runs.EAGER.id, 0, 0, 0.5), back_to_back=block)
    result = outcome(events.WaveBegan(GROUP, 0, 0), event, ended(GROUP, 0, 0))
    (visit,) = record(result, runs.EAGER.id).visits
    assert visit.back_to_back == block
    assert result.phases_s["measuring"] == 1.0 + 0.5 + 2.0


def test_disturbed_iterations_belong_to_their_visit_and_count_as_measuring() -> None:
    event = msgspec.structs.replace(visited(runs.EAGER.id, 0, 0, 0.5), disturbed_s=(2.0, 4.0))
    result = outcome(events.WaveBegan(GROUP, 0, 0), event, ended(GROUP, 0, 0))
    (visit,) = record(result, runs.EAGER.id).visits
    assert (visit.host_s, visit.disturbed_s) == ((0.5,), (2.0, 4.0))
    assert result.phases_s["measuring"] == 1.0 + 0.5 + 2.0 + 4.0


def test_outcome_from_events_is_interrupted() -> None:
    result = outcome()
    assert result.status == "interrupted"
    assert result.environment == BEGAN.environment
    assert not result.measured_anything
    assert result.run_record().plan.rounds == PLAN.rounds


def test_visits_are_voided_unless_their_round_was_judged_valid() -> None:
    name = runs.EAGER.id
    result = outcome(
        visited(name, 0, 0, 1.0),
        ended(GROUP, 0, 0),
        visited(name, 0, 1, 2.0),
        ended(GROUP, 0, 1, voided=True),
        visited(name, 0, 2, 3.0),
    )
    assert [visit.voided for visit in record(result, name).visits] == [False, True, True]
    assert record(result, name).host_s == (1.0,)


def test_wave_that_begins_again_replaces_only_itself() -> None:
    other, batch = runs.EAGER.id, runs.REFERENCE_BATCH
    facts = events.WorkerReported(cell=other, set_index=1, wave_index=0, facts=Setup(graphs=1))
    result = outcome(
        visited(other, 0, 0, 1.0),
        ended(GROUP, 0, 0),
        visited(other, 1, 0, 2.0),
        ended(GROUP, 1, 0),
        facts,
        visited(batch.id, 1, 0, 3.0),
        ended(batch.group, 1, 0),
        events.WaveBegan(GROUP, 1, 0),
    )
    assert record(result, other).host_s == (1.0,)
    assert record(result, other).setups == ()
    assert record(result, batch.id).host_s == (3.0,)


def test_wall_time_is_split_into_measuring_and_idling() -> None:
    result = outcome(
        visited(runs.EAGER.id, 0, 0, 2.0),
        visited(runs.REFERENCE_EAGER.id, 0, 0, 3.0),
        ended(GROUP, 0, 0),
        events.PhaseTimed(phase="preparing", seconds=4.0),
        events.PhaseTimed(phase="preparing", seconds=0.5),
    )
    measuring = (1.0 + 2.0) + (1.0 + 3.0)  # dropped and valid iterations
    assert result.phases_s == {"measuring": measuring, "idling": 10.0 - measuring, "preparing": 4.5}


def test_waves_are_those_of_the_most_recent_split() -> None:
    result = outcome(
        events.Split(group=GROUP, waves=((runs.EAGER.id,), ()), reason="memory was short")
    )
    assert [wave.own for wave in result.waves[GROUP]] == [(runs.EAGER,), ()]
    assert result.notes == ["memory was short"]


def test_a_set_is_measured_if_its_waves_have_ended_and_all_cells_were_visited() -> None:
    one, other = runs.EAGER, runs.REFERENCE_EAGER
    begun = (events.WaveBegan(GROUP, 0, 0), visited(one.id, 0, 0, 1.0))
    assert not outcome(*begun).is_measured(GROUP, 0, [one])
    complete = outcome(
        *begun,
        events.WaveEnded(GROUP, 0, 0),
        events.Split(group=GROUP, waves=((one.id,), ()), reason="memory was short"),
    )
    assert complete.is_measured(GROUP, 0, [one])
    assert not complete.is_measured(GROUP, 0, [one, other])
    assert not complete.is_measured(GROUP, 1, [one])


def test_cold_compilation_belongs_to_its_cell() -> None:
    result = outcome(events.Compiled(cell=runs.EAGER.id, seconds=31.0))
    assert record(result, runs.EAGER.id).compile_cold_s == 31.0


def test_ceilings_are_per_dtype_and_an_unknown_one_is_noted() -> None:
    facts = runs.CEILINGS["fp32"]
    result = outcome(
        events.CeilingMeasured(dtype="fp32", facts=facts),
        events.CeilingMeasured(dtype="bf16", facts=Ceiling(error="the worker died")),
    )
    run = result.run_record()
    assert run.ceilings == {"fp32": facts, "bf16": Ceiling(error="the worker died")}
    assert run.notes == ("The ceiling of bf16 is not known: the worker died.",)


def test_waves_fit_if_they_were_measured_without_lack_of_memory() -> None:
    began, ended_wave = events.WaveBegan(GROUP, 0, 0), events.WaveEnded(GROUP, 0, 0)
    split = events.Split(group=GROUP, waves=((runs.EAGER.id,),), reason="memory was short")
    died = events.Failed(cell=runs.EAGER.id, failure=runs.FAILURE)
    starved = msgspec.structs.replace(died, failure=replace(runs.FAILURE, kind="out_of_memory"))
    assert outcome(began).fitting_waves == set()
    for short in (split, starved):
        assert outcome(began, short, ended_wave).fitting_waves == set()
        next_set = (events.WaveBegan(GROUP, 1, 0), events.WaveEnded(GROUP, 1, 0))
        later = outcome(began, short, ended_wave, *next_set)
        assert later.fitting_waves == set(later.waves[GROUP])
    for result in (outcome(began, ended_wave), outcome(began, died, ended_wave)):
        assert result.fitting_waves == set(result.waves[GROUP])


def test_a_wave_that_runs_out_of_memory_does_not_concern_the_other_group() -> None:
    failure = Failure(kind="out_of_memory", message="", phase="measuring", set_index=0)
    result = outcome(
        events.WaveBegan(GROUP, 0, 0),
        events.WaveBegan(runs.REFERENCE_BATCH.group, 0, 0),
        events.Failed(cell=runs.EAGER.id, failure=failure),
        events.WaveEnded(GROUP, 0, 0),
        events.WaveEnded(runs.REFERENCE_BATCH.group, 0, 0),
    )
    assert {wave.reference.group for wave in result.fitting_waves} == {runs.REFERENCE_BATCH.group}


def test_a_run_keeps_its_id_and_code_when_it_is_resumed() -> None:
    code = Code(commit=None, digest="d" * 64)
    began = msgspec.structs.replace(replace_plan(PLAN), run_id="one", code=code)
    resumed = Outcome.from_events([began, events.Resumed()]).run_record()
    assert (resumed.run_id, resumed.code) == ("one", code)
