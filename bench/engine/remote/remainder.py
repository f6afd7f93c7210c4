"""The remainder of a task: what is left to measure when its node was lost. Pure."""

from dataclasses import replace

import msgspec

from bench.engine.tasks import PreflightTask, SetTask
from bench.records import events


class Remainder:
    """What a task leaves to measure after its events until now."""

    def __init__(self, task: PreflightTask | SetTask) -> None:
        self.task = task

    def add(self, event: events.Event) -> None:
        """Remove from the task what an event completes, and keep what it decides."""
        if isinstance(self.task, PreflightTask):
            self.task = _after_preflight(self.task, event)
        else:
            self.task = _after(self.task, event)

    @property
    def name(self) -> str:
        """The task, for sentences."""
        if isinstance(self.task, PreflightTask):
            return "the preflight"
        return f"set {self.task.set_index + 1} of {self.task.group}"


def _after_preflight(task: PreflightTask, event: events.Event) -> PreflightTask:
    if isinstance(event, events.Counted):
        done = (event.arch, event.base)
        left = tuple(each for each in task.archs if each != done)
        return msgspec.structs.replace(task, archs=left)
    if isinstance(event, events.CeilingMeasured):
        dtypes = tuple(name for name in task.dtypes if name != event.dtype)
        return msgspec.structs.replace(task, dtypes=dtypes)
    if isinstance(event, events.Fitted):
        fits = tuple(cell for cell in task.fits if cell != event.fit.cell)
        return msgspec.structs.replace(task, fits=fits)
    return task


def _after(task: SetTask, event: events.Event) -> SetTask:
    """A wave without ``WaveEnded`` stays: its visits are discarded when it begins again."""
    if isinstance(event, events.WaveEnded):
        return msgspec.structs.replace(task, ended=(*task.ended, event.wave_index))
    if isinstance(event, events.Allotted):
        return msgspec.structs.replace(task, rounds=event.rounds)
    if isinstance(event, events.Failed):
        cells = tuple(cell for cell in task.cells if cell.id != event.cell)
        return msgspec.structs.replace(task, cells=cells)
    if isinstance(event, events.Noted) and event.over_memory:
        return msgspec.structs.replace(task, is_over_memory=True)
    if isinstance(event, events.Split):
        before = task.waves[0]
        by_id = {cell.id: cell for cell in before.group}
        waves = tuple(
            replace(before, own=tuple(by_id[name] for name in own)) for own in event.waves
        )
        return msgspec.structs.replace(task, waves=waves)
    return task
