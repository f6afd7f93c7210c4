"""Sets at the same time, on nodes that are processes of this machine, or a script."""

import threading
from dataclasses import replace

import pytest

from bench.engine.assignment import TaskQueue
from bench.engine.hosts.host import Events
from bench.engine.remote.together import Together
from bench.engine.run import Run
from bench.engine.tasks import SetTask
from bench.launch.process import WorkerError
from bench.records import events
from bench.records.outcome import Outcome
from tests.bench.engine.hosts.scripted import ScriptedHost
from tests.bench.engine.remote.direct import DirectHost, Sink, interrupts, keys, plan
from tests.bench.engine.running import Watcher, cell
from tests.limits import HANG_S

CELLS = (cell("works"), cell("works", batch_size=2))
REQUEST = plan(*CELLS, sets=3, rounds=2)


def queue() -> TaskQueue:
    waves = Outcome(REQUEST).waves

    def make(group: str, index: int) -> SetTask:
        cells = waves[group][0].cells
        return SetTask(group=group, set_index=index, cells=cells, waves=waves[group], rounds=2)

    return TaskQueue({group: range(3) for group in waves}, make)


def test_as_many_sets_as_there_are_slots_are_measured_at_the_same_time() -> None:
    """Each pair of tasks waits for each other: one alone would break the barrier."""
    barrier = threading.Barrier(2, timeout=HANG_S)
    host, watcher = ScriptedHost(), Watcher()

    def measure(task: SetTask) -> Events:
        barrier.wait()
        yield from host.measure_set(task)

    watcher.phase("measuring", 6)
    happened = list(Together(measure, watcher, 2, lambda: None).events(queue()))
    began = [each for each in happened if isinstance(each, events.WaveBegan)]
    assert sorted((each.group, each.set_index) for each in began) == [
        (each.group, index) for each in CELLS for index in range(3)
    ]
    assert watcher.completed == [6]


def test_a_wave_that_memory_does_not_hold_is_not_divided_beside_others() -> None:
    host, tasks = ScriptedHost(), queue()

    def measure(task: SetTask) -> Events:
        for event in host.measure_set(task):
            if isinstance(event, events.RoundEnded) and task.group == CELLS[0].group:
                yield events.Split(group=task.group, waves=(), reason="memory was short")
            yield event

    watcher = Watcher()
    watcher.phase("measuring", 6)
    happened = list(Together(measure, watcher, 2, lambda: None).events(tasks))
    assert not any(isinstance(each, events.Split) for each in happened)
    ended = {each.group for each in happened if isinstance(each, events.WaveEnded)}
    assert ended == {CELLS[1].group}
    assert tasks.undivided == [(CELLS[0].group, index) for index in range(3)]


def test_an_error_is_raised_when_the_other_sets_have_ended() -> None:
    host, stopped = ScriptedHost(), threading.Event()

    def measure(task: SetTask) -> Events:
        if task.group == CELLS[0].group:
            raise WorkerError("start", "no node")
        yield from host.measure_set(task)
        assert stopped.wait(HANG_S)

    watcher = Watcher()
    watcher.phase("measuring", 6)
    happened = Together(measure, watcher, 2, stopped.set).events(queue())
    seen: list[events.Event] = []
    with pytest.raises(WorkerError, match="no node"):
        seen.extend(happened)
    assert isinstance(seen[-1], events.WaveEnded)


@pytest.mark.workers
@pytest.mark.slow
def test_a_run_on_two_nodes_is_interrupted_and_resumed() -> None:
    watcher = Watcher()

    sink = interrupts(lambda each: isinstance(each, events.RoundEnded) and each.set_index == 1)
    host = DirectHost(REQUEST, watcher)
    host.slots = 2
    first = Run(REQUEST, host, watcher, begin=sink.begin).measure()
    assert first.status == "interrupted"
    assert ("measuring on 2 nodes", 6) in watcher.phases
    assert all(each.process._process.returncode is not None for each in host.connections)

    later = DirectHost(REQUEST, watcher)
    later.slots = 2
    resumed = Outcome.from_events(sink.events)
    rest = Sink()
    outcome = Run(REQUEST, later, watcher, resumed=resumed, begin=rest.begin).measure()
    assert outcome.status == "complete"
    expected = [(set_index, 0, round_index) for set_index in range(3) for round_index in range(2)]
    for measured in (*REQUEST.cells, *(replace(each, control=True) for each in CELLS)):
        assert keys(outcome, measured) == expected
    assert Outcome.from_events([*sink.events, *rest.events]).records() == outcome.records()
