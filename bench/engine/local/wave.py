"""A live wave: the workers of one wave in one set, from start to end."""

import math
import random
from collections.abc import Callable, Collection, Generator, Iterable, Mapping
from statistics import median

from bench.cells import modes
from bench.cells.cell import Cell
from bench.cells.waves import Wave
from bench.engine.local import visit_policy
from bench.engine.local.after_rounds import AfterRounds
from bench.engine.local.context import Context, Steps
from bench.engine.local.measurement import VisitTask
from bench.engine.local.pool import Pool
from bench.engine.local.preparing import Preparation
from bench.launch import timeouts
from bench.machine import voiding
from bench.machine.card import Around, Card, CardReading
from bench.machine.load import foreign_cpus
from bench.records import events
from bench.records.record import Failure
from bench.records.reported import Setup
from bench.worker.protocol import WarmUp

MAX_ATTEMPTS = 2  # per planned round, because foreign load may void some
# A stretch is a series of consecutive rounds that are judged together. It lasts at least this long
# unless the state of a card is read around each round. Linux counts CPU time in ticks of 10 ms, and
# in 0.1 s a few ticks look like load.
STRETCH_S = 1.0


class LiveWave:
    """The workers of a wave, all alive together."""

    def __init__(
        self,
        context: Context,
        wave: Wave,
        *,
        cells: Collection[Cell],
        set_index: int,
        wave_index: int,
        in_any_order: bool = False,
    ) -> None:
        """``in_any_order``: whether workers may start in any order, as memory holds all of them."""
        self._context = context
        self._wave = wave
        self._group = wave.reference.group
        self._set = set_index
        self._void_reason = ""  # why the last stretch was voided; empty if it was valid
        device = context.plan.device_of(set_index)
        self._card: Card | None = context.cards.get(device)
        self._live = Pool(context, set_index=set_index, wave_index=wave_index)
        order = self._longest_first(cells) if in_any_order else cells
        self._preparation = Preparation(
            context, wave, self._live, order, device, in_any_order=in_any_order
        )
        self._size = len(cells)
        self._latency_s: dict[Cell, float] = {}  # median of the second half of the warm-up
        self._visiting = context.measurement.policy(context.plan, device)
        self.after_rounds = AfterRounds(
            context, wave, self._live, self._card, set_index=set_index, latency_s=self._latency_s
        )
        """What is asked of the workers after their rounds."""

    @property
    def out_of_memory(self) -> Mapping[Cell, Failure]:
        """Cells whose workers ran out of memory; they may work with fewer workers at a time."""
        return self._live.out_of_memory

    @property
    def deferred(self) -> list[Cell]:
        """Cells that were left out, because memory had no room for them or for their base."""
        return self._preparation.deferred

    @property
    def held_bytes(self) -> int:
        """Host memory that all workers hold together, in bytes."""
        return self._preparation.held_bytes

    @property
    def compiling_s(self) -> float:
        """Time in which workers did nothing but fill the cache with compiled code, in seconds."""
        return self._preparation.compiling_s

    def prepare(self) -> Steps:
        """Start the workers; each builds, compiles and checks its network."""
        self._context.progress.phase(f"set {self._set + 1}: compiling and checking", self._size)
        yield from self._preparation.run()

    def warm_up(self) -> Steps:
        """Warm up one worker at a time, in random order.

        Several at once would disturb each other with their spinning threads. The order is random
        because the machine changes between the first and the last.
        """
        self._context.progress.phase(f"set {self._set + 1}: warming up", len(self._live))
        for cell in self._shuffled(self._alive, "warming up"):
            with self._live.may_fail(cell, "warming up"):
                warmed_up = self._live[cell].request(WarmUp(), limit_s=timeouts.WARM_UP_S)
                durations_s = warmed_up.durations_s
                self._live.report(
                    cell, Setup(warm_up_iterations=len(durations_s), warm_up_s=sum(durations_s))
                )
                self._latency_s[cell] = median(durations_s[len(durations_s) // 2 :])
            self._context.progress.advance(cell.id)
            yield

    @property
    def workers(self) -> int:
        """Number of live workers."""
        return len(self._live)

    @property
    def owns_any(self) -> bool:
        """Whether a worker of one of the wave's own cells is left."""
        return any(cell in self._live for cell in self._wave.own)

    @property
    def effort(self) -> float:
        """Seconds of measuring per second of starting the set."""
        return self._visiting.effort

    @property
    def round_s(self) -> float:
        """Expected time of a round in seconds, from the latencies of the warm-up."""
        return sum(self._visiting.pause_s + self._visit_s(cell) for cell in self._live)

    @property
    def _dropped(self) -> int:
        return self._visiting.dropped(min(self._latency_s.values()))

    def _visit_s(self, cell: Cell) -> float:
        return self._visiting.expected_s(self._latency_s[cell], dropped=self._dropped)

    def visit_in_rounds(
        self, rounds: int, over_budget: Callable[[], bool]
    ) -> Generator[None, None, bool]:
        """Visit every worker in every round until ``rounds`` are valid or too many are voided.

        Only valid rounds are steps of the progress. Returns False if the budget ended the
        measurement.
        """
        progress = self._context.progress
        progress.phase(f"set {self._set + 1}: measuring", rounds)
        valid = tried = 0
        while valid < rounds and tried < MAX_ATTEMPTS * rounds and self._live:
            if over_budget():
                return False
            remaining = min(rounds - valid, MAX_ATTEMPTS * rounds - tried)
            length = 1 if self._card else stretch(remaining, self.round_s)
            done = yield from self._stretch(range(tried, tried + length), over_budget)
            tried += done
            if not self._void_reason:
                valid += done
                progress.advance("", done)
            progress.judged(tried - valid, tried, self._void_reason)
        return True

    def kill(self) -> None:
        """Kill all live workers."""
        self._live.kill()

    @property
    def _alive(self) -> list[Cell]:
        """The live cells, in the order of the wave and not in the order of their start."""
        return [cell for cell in self._wave.cells if cell in self._live]

    def _longest_first(self, cells: Iterable[Cell]) -> list[Cell]:
        """Return the cells in random order, with compiled ones first, which take longest to start.

        So no core is idle while another core compiles the last cell.
        """
        shuffled = self._shuffled(cells, "starting")
        return sorted(shuffled, key=lambda cell: not modes.parse(cell.mode).executor.compiles)

    def _shuffled(self, cells: Iterable[Cell], what: str) -> list[Cell]:
        """Return the cells in a random order that depends on ``what``."""
        order = list(cells)
        self._chance(what).shuffle(order)
        return order

    def _chance(self, what: str | int) -> random.Random:
        """Return a random generator with its own seed, so that a resumed run draws the same."""
        key = (self._context.plan.seed, self._group, *self._live.indices.values(), what)
        return random.Random(repr(key))

    def _stretch(
        self, indices: Iterable[int], over_budget: Callable[[], bool]
    ) -> Generator[None, None, int]:
        """Measure rounds that are judged together, and return how many were begun.

        The stretch ends early if the budget is used up or a worker dies, because the CPU time of a
        dead worker is unknown. An interrupted round is judged as far as it went.
        """
        context, alive = self._context, len(self._live)
        walls_s: dict[int, float] = {}
        pids = [*context.pids, *self._live.pids]
        allowed = self._card.allowed if self._card else ()
        card_before = self._card.meter.read() if self._card else None
        before = context.meter.read(pids)
        try:
            for round_index in indices:
                if len(self._live) < alive or (walls_s and over_budget()):
                    break
                start = context.now()
                try:
                    yield from self._round(round_index)
                finally:
                    walls_s[round_index] = context.now() - start
        finally:
            after = context.meter.read(pids)
            around = self._around(card_before)
            foreign = foreign_cpus(before, after)
            reasons = voiding.reasons(foreign, context.plan.foreign_cpus, around, allowed)
            self._void_reason = voiding.with_load(reasons, foreign, context.plan.foreign_cpus)
            for round_index, wall_s in walls_s.items():
                context.emit(
                    events.RoundEnded(
                        group=self._group,
                        **self._live.indices,
                        round_index=round_index,
                        wall_s=wall_s,
                        foreign_cpus=foreign,
                        voided=bool(reasons),
                        reasons=reasons,
                        card=around,
                    )
                )
        yield
        return len(walls_s)

    def _round(self, round_index: int) -> Steps:
        order = visit_policy.order(
            self._alive, self._chance(round_index), against_base=self._wave.against_base
        )
        for cell in order:
            with self._live.may_fail(cell, "measuring"):
                self._visit(cell, round_index)
            self._context.progress.visited(cell.id)
            yield

    def _visit(self, cell: Cell, round_index: int) -> None:
        context, latency_s = self._context, self._latency_s[cell]
        timed, dropped = self._visiting.timed(latency_s), self._dropped
        chance = self._chance(f"{round_index}: {cell.id}")
        if dropped and chance.random() < visit_policy.EXTRA_DROP_PROBABILITY:
            dropped += 1
        context.sleep(self._visiting.pause_s)
        task = VisitTask(
            cell=cell,
            key=(self._set, self._live.indices["wave_index"], round_index),
            timed=timed,
            dropped=dropped,
            seed=chance.getrandbits(32),
            limit_s=timeouts.visit_timeout_s(self._visit_s(cell)),
        )
        start_s, asked_s = context.unix_time(), context.now()
        reply = context.measurement.visit(self._live[cell], task)
        wall_s = context.now() - asked_s
        context.emit(
            events.Visited(
                cell=cell.id,
                **self._live.indices,
                round_index=round_index,
                dropped_s=sum(reply.dropped_s),
                host_s=reply.host_s,
                device_s=reply.device_s,
                disturbed_s=reply.disturbed_s,
                back_to_back=reply.back_to_back,
                start_s=round(start_s, 6),
                wall_s=round(wall_s, 6),
            )
        )

    def _around(self, before: CardReading | None) -> Around | None:
        """Return the card's state from ``before`` until now; None if it is unknown."""
        if before is None or self._card is None:
            return None
        return Around(before=before, after=self._card.meter.read())


def stretch(rounds: int, round_s: float) -> int:
    """Return the length of the next stretch, such that the rest of ``rounds`` is not too short."""
    length = max(1, math.ceil(STRETCH_S / max(round_s, 1e-6)))
    return rounds if rounds < 1.5 * length else length
