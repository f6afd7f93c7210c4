"""A host that measures nothing: a file like this is all that a new host needs."""

from collections.abc import Callable, Generator, Mapping

from bench.engine.hosts.host import Described, Events, Host
from bench.engine.tasks import PreflightTask, SetTask
from bench.machine.busiest import Busiest, BusyProcess
from bench.machine.environment import Environment
from bench.records import events
from bench.records.reported import ArchCost


class ScriptedHost(Host):
    """Yields the events of sets with given latencies."""

    def __init__(
        self,
        name: str = "scripted",
        *,
        seconds: Mapping[str, float] | None = None,
        before: Callable[[events.Event], None] = lambda _: None,
    ) -> None:
        """``seconds``: latency by arch, by default 0.25.

        ``before`` is called with each event of a set.
        """
        self.name = name
        self.tasks: list[PreflightTask | SetTask] = []
        self.open_workers = 0
        self.generators: list[Events] = []
        self._seconds = seconds or {}
        self._before = before

    def preflight(self, task: PreflightTask) -> Generator[Described | events.Event, None, None]:
        self.tasks.append(task)
        yield Described(environment=Environment(device="cpu", torch="2.13.0", threads=2))
        for arch, base in task.archs:
            yield events.Counted(arch=arch, cost=ArchCost(params=1_000), base=base)

    def measure_set(self, task: SetTask) -> Events:
        """Return the events of a voided round and a valid one for each wave."""
        self.tasks.append(task)
        self.generators.append(self._measure(task))
        return self.generators[-1]

    def busiest(self) -> Busiest:
        return Busiest(processes=(BusyProcess(pid=7, name="rival", cpus=1.0),))

    def _measure(self, task: SetTask) -> Events:
        self.open_workers += len(task.cells)
        try:
            for event in self._events(task):
                self._before(event)
                yield event
        finally:
            self.open_workers -= len(task.cells)

    def _events(self, task: SetTask) -> Events:
        rounds = task.rounds or 2
        for wave_index, wave in enumerate(task.waves):
            cells = [cell for cell in wave.cells if cell in task.cells]
            if wave_index in task.ended or not cells:
                continue
            key = (task.group, task.set_index, wave_index)
            yield events.WaveBegan(*key, host=self.name)
            if task.rounds is None:
                yield events.Allotted(group=task.group, rounds=rounds)
            for round_index in range(rounds):
                for cell in cells:
                    yield events.Visited(
                        cell=cell.id,
                        set_index=task.set_index,
                        wave_index=wave_index,
                        round_index=round_index,
                        dropped_s=1.0,
                        host_s=(self._seconds.get(cell.arch, 0.25),),
                        device_s=(),
                        disturbed_s=(2.0,) if round_index == 0 else None,
                    )
                yield events.RoundEnded(
                    group=task.group,
                    set_index=task.set_index,
                    wave_index=wave_index,
                    round_index=round_index,
                    wall_s=10.0,
                    foreign_cpus=0.0,
                    voided=round_index == 0,
                )
            yield events.WaveEnded(*key)
