"""The local host: workers on this machine, one set at a time."""

import time
from collections.abc import Callable, Generator
from contextlib import ExitStack, closing

import msgspec

from bench.cells.plan import Plan
from bench.engine.hosts.host import Described, Events, Host
from bench.engine.local import preflight
from bench.engine.local.context import Context, Steps
from bench.engine.local.measurement import Iterations, Measurement
from bench.engine.local.probe_worker import ProbeWorker
from bench.engine.local.sets import LocalSet
from bench.engine.progress import Progress
from bench.engine.tasks import PreflightTask, SetTask
from bench.launch.launchers import Launcher
from bench.machine import busiest
from bench.machine.busiest import Busiest
from bench.machine.environment import Environment
from bench.machine.load import LoadMeter, SystemMeter
from bench.machine.memory_budget import MemoryBudget
from bench.machine.run_cards import Cards
from bench.records import events


class LocalHost(Host):
    """This machine."""

    def __init__(
        self,
        plan: Plan,
        launcher: Launcher,
        progress: Progress,
        *,
        base_launcher: Launcher | None = None,
        cards: Cards | None = None,
        meter: LoadMeter | None = None,
        measurement: Measurement | None = None,
        name: str = "local",
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """``launcher`` and ``base_launcher`` remain open; ``cards`` are those of the plan.

        By default, the ``measurement`` times iterations.
        """
        self.name = name
        self._cards = cards or Cards()
        self._context = Context(
            plan=plan,
            launcher=launcher,
            base_launcher=base_launcher,
            progress=progress,
            meter=meter or SystemMeter(),
            memory_budget=MemoryBudget(limit_bytes=plan.memory_bytes, on_gpu=plan.is_on_gpu),
            measurement=measurement or Iterations(),
            cards=self._cards.known,
            now=now,
        )
        self._importing_s = 0.0
        self._last_set: int | None = None

    def preflight(self, task: PreflightTask) -> Generator[Described | events.Event, None, None]:
        """Describe the environment, and measure what the task asks for, with probe workers.

        Raises ``WorkerError`` if no worker can be started or the device is missing.
        """
        context, plan = self._context, self._context.plan
        sides = (False, True) if plan.against_base else (False,)
        context.progress.phase("importing torch", len(sides) + len(task.archs))
        start = context.now()
        with ExitStack() as exits:
            probes = [
                exits.enter_context(ProbeWorker(context.launcher_of(base=base), plan, is_base=base))
                for base in sides
            ]
            yield self._described(*(probe.describe() for probe in probes))
            self._importing_s = context.now() - start
            yield events.PhaseTimed(phase="importing", seconds=self._importing_s)
            for device, processes in self._cards.shared.items():
                yield events.Shared(device=device, others=processes)
            yield from self._events(preflight.count(context, probes, task.archs))
            yield from self._events(self._wait())
            yield from self._events(preflight.measure_ceilings(context, probes[0], task.dtypes))
        yield from self._events(preflight.find_fits(context, task.fits))

    def measure_set(self, task: SetTask) -> Events:
        """Measure a set with fresh workers on this machine.

        Raises ``WorkerError`` if no worker can be started.
        """
        context = self._context
        local_set = LocalSet(context, task, host=self.name, importing_s=self._importing_s)
        if self._last_set not in {None, task.set_index}:
            yield from self._events(self._renew(task.set_index))
        self._last_set = task.set_index
        yield from self._events(local_set.measure())

    def busiest(self) -> Busiest:
        """Return the busiest processes of others; none of the run is alive except its launchers."""
        return busiest.watch(self._context.pids, self._context.sleep)

    def _described(self, environment: Environment, of_base: Environment | None = None) -> Described:
        environment = msgspec.structs.replace(environment, cards=self._cards.facts)
        return Described(environment=environment, base_environment=of_base)

    def _wait(self) -> Steps:
        """Wait until all fork servers have finished importing."""
        start = self._context.now()
        with self._context.timed("importing"):
            self._context.wait()
        self._importing_s += self._context.now() - start
        yield

    def _renew(self, set_index: int) -> Steps:
        """Renew the launchers, so that a set shares only the machine with the previous one."""
        context = self._context
        context.progress.phase(f"set {set_index + 1}: importing torch", 1)
        with context.timed("importing"):
            context.renew()
        context.progress.advance("")
        yield

    def _events(self, steps: Steps) -> Events:
        """Yield the events of each step when it ends, and the last ones even if it raises."""
        context = self._context
        with closing(steps):
            try:
                for _ in steps:
                    yield from context.drain()
            except (Exception, KeyboardInterrupt):
                steps.close()
                yield from context.drain()
                raise
            yield from context.drain()
