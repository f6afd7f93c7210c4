from dataclasses import replace

from bench.engine.remote.remainder import Remainder
from bench.engine.tasks import PreflightTask, SetTask
from bench.records import events
from bench.records.outcome import Outcome
from bench.records.record import Fit
from bench.records.reported import ArchCost, Ceiling
from tests.bench import runs
from tests.bench.engine.remote.direct import plan, set_task
from tests.bench.engine.running import cell

CELLS = (cell("works"), replace(cell("works"), mode="channels_last"), cell("other"))
REQUEST = plan(*CELLS)


def after(task: SetTask | PreflightTask, *happened: events.Event) -> SetTask | PreflightTask:
    left = Remainder(task)
    for event in happened:
        left.add(event)
    return left.task


def test_what_a_preflight_has_measured_is_not_measured_again() -> None:
    task = PreflightTask(
        archs=(("a", False), ("a", True), ("b", False)), dtypes=("fp32", "bf16"), fits=CELLS[:2]
    )
    left = after(
        task,
        events.Counted(arch="a", cost=ArchCost(params=1), base=True),
        events.CeilingMeasured(dtype="fp32", facts=Ceiling(error="none")),
        events.Fitted(fit=Fit(cell=CELLS[0], attempts=())),
    )
    assert left == PreflightTask(
        archs=(("a", False), ("b", False)), dtypes=("bf16",), fits=CELLS[1:2]
    )


def test_a_set_continues_as_the_outcome_would_resume_it() -> None:
    task = set_task(REQUEST, rounds=None)
    happened = (
        events.Allotted(group=task.group, rounds=9),
        events.Noted(sentence="memory", over_memory=task.group),
        events.Split(
            group=task.group, waves=((CELLS[1].id,), (CELLS[2].id,)), reason="memory was short"
        ),
        events.WaveEnded(task.group, 0, 0),
        events.Failed(cell=CELLS[2].id, failure=runs.FAILURE),
        events.WaveBegan(task.group, 0, 1),
    )
    left = after(task, *happened)
    assert isinstance(left, SetTask)
    outcome = Outcome(REQUEST)
    for event in happened:
        outcome.apply(event)
    assert left.rounds == outcome.allotted[task.group]
    assert left.waves == outcome.waves[task.group]
    assert left.ended == outcome.ended_waves(task.group, 0)
    assert left.is_over_memory
    assert set(task.cells) - set(left.cells) == {CELLS[2]}
    assert Remainder(task).name == "set 1 of fp32/b1/infer/cpu"
