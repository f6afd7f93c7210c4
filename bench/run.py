"""The run: sets of every group's waves, until the ratios are as sure as was asked for.

Whatever a worker does costs its own cell at the most; all others are still measured.
"""

import itertools
import time
from collections.abc import Callable
from typing import Protocol

from bench import events, stats
from bench.cell import Cell
from bench.context import Context, Progress
from bench.launch import Launcher, WorkerError, WorkerProcess
from bench.load import LoadMeter, SystemMeter
from bench.outcome import Outcome, check_same, check_same_environment
from bench.plan import Plan
from bench.record import SCHEMA_VERSION, Failure
from bench.room import Room
from bench.wave import SHORT_LIMIT_S, LiveWave


class Keeper(Protocol):
    """Where events are kept besides: a journal."""

    def append(self, event: events.Event) -> None:
        """Keep an event."""
        ...


class Run:
    """A run under way."""

    def __init__(
        self,
        plan: Plan,
        launcher: Launcher,
        progress: Progress,
        *,
        begin: Callable[[dict[str, object]], Keeper | None] = lambda _: None,
        resumed: Outcome | None = None,
        meter: LoadMeter | None = None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """``begin`` is given the environment before the first event, and returns its keeper."""
        if resumed is not None:
            check_same(plan, resumed.plan)
        self.outcome = resumed or Outcome(plan)
        self._resumed = resumed is not None
        self._begin = begin
        self._keeper: Keeper | None = None
        self._plan = self.outcome.plan if resumed else plan
        self._budget_s, self._extra_s = plan.budget_s, plan.extra_s
        self._context = Context(
            plan=self._plan,
            launcher=launcher,
            progress=progress,
            meter=meter or SystemMeter(),
            room=Room(limit_bytes=plan.memory_bytes),
            tell=self._tell,
            now=now,
        )
        self._measuring_since: float | None = None
        self._took_s: dict[str, float] = {}
        self._live: LiveWave | None = None

    def measure(self) -> Outcome:
        """Measure the whole plan, as far as the budget and the user let it.

        Raises ``WorkerError`` where no worker can be started, or the device is not there;
        ``RequestError`` where a run is resumed in another environment; and ``KeyboardInterrupt``
        where nothing was measured yet.
        """
        self.outcome.status = "complete"
        try:
            self._ask_clerk()
            for set_index in itertools.count():
                wanted = [group for group in self._plan.groups if self._wants(group, set_index)]
                if not wanted:
                    break
                for group in wanted:
                    self._measure_group(group, set_index)
        except KeyboardInterrupt:
            if not self.outcome.measured_anything:
                raise
            self.outcome.status = "interrupted"
        except WorkerError as error:
            if not self.outcome.measured_anything:
                raise
            self.outcome.status = "interrupted"
            self.outcome.notes.append(f"It ended before its time: {error}.")
            self._context.progress.note(f"no worker can be started any more: {error}")
        finally:
            if self._live is not None:
                self._live.kill()
        return self.outcome

    def _tell(self, event: events.Event) -> None:
        self.outcome.apply(event)
        if self._keeper is not None:
            self._keeper.append(event)

    def _ask_clerk(self) -> None:
        """Have the environment described and costs counted, by a worker that measures nothing."""
        known = self.outcome.costs
        archs = dict.fromkeys(cell.arch for cell in self._plan.cells)
        uncounted = [arch for arch in archs if arch not in known]
        self._context.progress.phase("importing torch", 1 + len(uncounted))
        start = self._context.now()
        clerk = self._context.launcher.launch()
        try:
            environment = clerk.request(
                "describe", limit_s=SHORT_LIMIT_S, device=self._plan.cells[0].device
            )
            if self._resumed:
                check_same_environment(environment, self.outcome.environment)
            self._keeper = self._begin(environment)
        except BaseException:
            clerk.kill()
            raise
        if self._resumed:
            self._tell(events.Resumed())
        else:
            self._tell(
                events.Began(
                    schema_version=SCHEMA_VERSION, plan=self._plan, environment=environment
                )
            )
        self._tell(events.Spent(phase="importing", seconds=self._context.now() - start))
        self._context.progress.advance("environment")
        with self._context.timed("counting"):
            for arch in uncounted:
                clerk = self._count(clerk, arch)
                self._context.progress.advance(arch)
            clerk.close()

    def _count(self, clerk: WorkerProcess, arch: str) -> WorkerProcess:
        """Have one arch counted; a clerk that died of it is followed by another."""
        try:
            cost = clerk.request(
                "cost", limit_s=SHORT_LIMIT_S, arch=arch, image_size=self._plan.image_size
            )
        except WorkerError as error:
            if error.kind == "request":
                clerk.kill()
                raise
            cost = {"error": str(error)}
            if error.kind in {"died", "timeout"}:
                clerk = self._context.launcher.launch()
        except BaseException:
            clerk.kill()
            raise
        self._tell(events.Counted(arch=arch, cost=cost))
        return clerk

    def _wants(self, group: str, set_index: int) -> bool:
        """Whether a group needs one more set, and there is time for it."""
        if all(cell.id in self.outcome.failures for cell in self._plan.groups[group]):
            return False
        if self._over_budget():
            return False
        if set_index < self._plan.sets:
            return True
        end_s = self._elapsed_s() + self._took_s.get(group, 0.0)
        if end_s > self._extra_s:
            return False
        widest = stats.widest(self.outcome.group_records(group))
        return not widest <= self._plan.precision  # a NaN is not precise either

    def _measure_group(self, group: str, set_index: int) -> None:
        """One set of a group: each of its waves, which may turn out to be more on the way."""
        start = self._context.now()
        if self._measuring_since is None:
            self._measuring_since = start
        wave_index = 0
        while wave_index < len(self.outcome.waves[group]):
            key = (group, set_index, wave_index)
            if key not in self.outcome.ended and self._is_due(group, wave_index):
                self._tell(events.WaveBegan(*key))
                again, whole = self._measure_wave(group, set_index, wave_index)
                if again:
                    continue
                if whole:
                    self._tell(events.WaveEnded(*key))
            wave_index += 1
        self._took_s[group] = self._context.now() - start

    def _is_due(self, group: str, wave_index: int) -> bool:
        """Whether a wave is still worth the time: something in it may yet give figures."""
        own = self.outcome.waves[group][wave_index].own
        return not self._over_budget() and not (
            own and all(cell.id in self.outcome.failures for cell in own)
        )

    def _measure_wave(self, group: str, set_index: int, wave_index: int) -> tuple[bool, bool]:
        """Fresh workers, alive together, and their rounds.

        Whether to do it again because memory did not hold what others are compared with; and
        whether all rounds were measured.
        """
        context = self._context
        wave = self.outcome.waves[group][wave_index]
        live = self._live = LiveWave(
            context,
            wave,
            skipped=[cell for cell in wave.cells if cell.id in self.outcome.failures],
            set_index=set_index,
            wave_index=wave_index,
        )
        with context.timed("preparing"):
            live.prepare()
        with context.timed("warming up"):
            live.warm_up()
        whole = live.visit_in_rounds(self._over_budget)
        with context.timed("finishing"):
            live.finish()
        again = False
        if live.left:
            self._split(group, wave_index, live.left, "held no more workers at a time")
        if live.without_memory:
            wave = self.outcome.waves[group][wave_index]
            again = bool({wave.reference, *wave.cells[:2]} & live.without_memory.keys())
            apart = list(live.without_memory)
            if not self._split(group, wave_index, apart, "ran out while they were measured"):
                again = False
                for cell, failure in live.without_memory.items():
                    self._fail(cell, failure)
        return again, whole

    def _split(self, group: str, wave_index: int, apart: list[Cell], why: str) -> bool:
        """Make a wave two, the cells ``apart`` in the second; False where it cannot be smaller."""
        before = self.outcome.waves[group]
        parts = before[wave_index].without(apart)
        if len(parts) == 1:
            return False
        after = (*before[:wave_index], *parts, *before[wave_index + 1 :])
        reason = (
            f"{group}: memory {why} ({self._context.room.held_bytes(group) / 2**20:,.0f} MiB the "
            f"largest), so its cells were measured in {len(after)} waves."
        )
        self._tell(
            events.Split(
                group=group,
                waves=tuple(tuple(cell.id for cell in wave.own) for wave in after),
                reason=reason,
            )
        )
        self._context.progress.note(reason)
        return True

    def _fail(self, cell: Cell, failure: Failure) -> None:
        self._tell(events.Failed(cell=cell.id, failure=failure))
        self._context.progress.failed(cell, failure)

    def _elapsed_s(self) -> float:
        if self._measuring_since is None:
            return 0.0
        return self._context.now() - self._measuring_since

    def _over_budget(self) -> bool:
        over = self._budget_s is not None and self._elapsed_s() > self._budget_s
        if over:
            self.outcome.status = "over_budget"
        return over
