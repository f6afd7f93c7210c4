"""A live wave: the workers of one wave in one set, from their start to their end."""

import math
import random
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from statistics import median
from typing import Any

from bench import energy
from bench.cells.cell import Cell
from bench.cells.modes import is_compiled
from bench.cells.waves import Wave
from bench.engine import timeouts, visit_policy
from bench.engine.context import Context
from bench.engine.pool import Pool
from bench.engine.preparing import Preparation
from bench.machine import voiding
from bench.machine.card import Around, Card, CardReading
from bench.machine.load import foreign_cpus
from bench.records import events
from bench.records.record import BackToBack, Failure

FINISHING_ANSWERS = 2  # that a worker is checked by after its rounds; inference has one
MOST_ATTEMPTS = 2  # for each round that is wanted, where foreign load voids some
# Rounds that are judged together, where there is no card whose state is read around each. Linux
# counts CPU time in ticks of 10 ms: in 0.1 s, a few of them look like load.
STRETCH_S = 1.0


class LiveWave:
    """The workers of a wave, alive together."""

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
        """``in_any_order``: whether workers may start so, for memory holds all of the wave."""
        self._context = context
        self._wave = wave
        self._group = wave.reference.group
        self._set = set_index
        self._why_void = ""
        device = context.plan.device_of(set_index)
        self._card: Card | None = context.cards.get(device)
        self._live = Pool(context, set_index=set_index, wave_index=wave_index)
        order = self._longest_first(cells) if in_any_order else cells
        self._preparation = Preparation(context, wave, self._live, order, device)
        self._size = len(cells)
        self._latency_s: dict[Cell, float] = {}  # in the second half of warming up
        self._visiting = visit_policy.choose(
            device, context.plan.environment, versions=context.plan.compares_versions
        )

    @property
    def without_memory(self) -> Mapping[Cell, Failure]:
        """Cells whose workers ran out of memory, which fewer workers at a time may help."""
        return self._live.without_memory

    @property
    def left(self) -> list[Cell]:
        """Cells for which memory had no room."""
        return self._preparation.left

    @property
    def held_bytes(self) -> int:
        """What all of its workers hold of the host's memory."""
        return self._preparation.held_bytes

    def prepare(self) -> None:
        """Start workers, and have each build, compile and check its network."""
        self._context.progress.phase(f"set {self._set + 1}: compiling and checking", self._size)
        self._preparation.run()

    def warm_up(self) -> None:
        """Warm up one worker at a time: many at once trip over each other's spinning threads.

        In random order, because the machine changes between the first and the last.
        """
        self._context.progress.phase(f"set {self._set + 1}: warming up", len(self._live))
        for cell in self._shuffled(self._alive, "warming up"):
            with self._live.may_fail(cell, "warming up"):
                reply = self._live[cell].request("warm_up", limit_s=timeouts.WARM_UP_S)
                durations_s = reply["durations_s"]
                self._live.learn(
                    cell, warm_up_iterations=len(durations_s), warm_up_s=sum(durations_s)
                )
                self._latency_s[cell] = median(durations_s[len(durations_s) // 2 :])
            self._context.progress.advance(cell.id)

    @property
    def workers(self) -> int:
        """How many are alive."""
        return len(self._live)

    @property
    def effort(self) -> float:
        """Seconds that it should measure for each second of starting it."""
        return self._visiting.effort

    @property
    def round_s(self) -> float:
        """Seconds that a round should take, by what warming up showed."""
        return sum(self._visiting.pause_s + self._visit_s(cell) for cell in self._live)

    @property
    def _dropped(self) -> int:
        return self._visiting.dropped(min(self._latency_s.values()))

    def _visit_s(self, cell: Cell) -> float:
        return self._visiting.expected_s(self._latency_s[cell], dropped=self._dropped)

    def visit_in_rounds(self, rounds: int, over_budget: Callable[[], bool]) -> bool:
        """Visit every worker in every round until ``rounds`` are valid, or too many were voided.

        Return False where the budget ended it.
        """
        progress = self._context.progress
        progress.phase(f"set {self._set + 1}: measuring", rounds * len(self._live))
        valid = tried = 0
        while valid < rounds and tried < MOST_ATTEMPTS * rounds and self._live:
            if over_budget():
                return False
            wanted = min(rounds - valid, MOST_ATTEMPTS * rounds - tried)
            together = 1 if self._card else stretch(wanted, self.round_s)
            done = self._stretch(range(tried, tried + together), over_budget)
            tried += done
            if not self._why_void:
                valid += done
            else:
                which = "a round was" if done == 1 else f"{done} rounds were"
                progress.more(done * len(self._live), f"{which} voided: {self._why_void}")
        return True

    def measure_energy(self, over_budget: Callable[[], bool]) -> None:
        """Have each worker keep the card busy by itself, and read what that takes."""
        if self._card is None or not self._card.energy_is_ours:
            return
        self._context.progress.phase(f"set {self._set + 1}: measuring energy", len(self._live))
        for cell in self._live:
            if over_budget():
                return
            with self._live.may_fail(cell, "measuring energy"):
                meter = self._card.meter
                before = meter.read()
                self._sustain(cell, energy.LEAD_IN_S)
                before_j = meter.energy_j()
                done = self._sustain(cell, energy.WINDOW_S)
                after_j = meter.energy_j()
                around = Around(
                    before=replace(before, energy_j=before_j),
                    after=replace(meter.read(), energy_j=after_j),
                )
                self._live.learn(
                    cell, **energy.facts(around, done, cell, self._card.allowed, self._set)
                )
            self._context.progress.advance(cell.id)

    def _sustain(self, cell: Cell, seconds: float) -> dict[str, Any]:
        return self._live[cell].request(
            "sustain", limit_s=timeouts.visit_timeout_s(seconds), seconds=seconds
        )

    def finish(self) -> None:
        """Ask each worker what its whole life showed, and end it."""
        for cell in self._live:
            with self._live.may_fail(cell, "finishing"):
                answering_s = FINISHING_ANSWERS * self._latency_s.get(cell, 0.0)
                facts = self._live[cell].request(
                    "finish", limit_s=timeouts.SHORT_S + timeouts.visit_timeout_s(answering_s)
                )
                self._live.learn(cell, **facts)
                self._live.close(cell)
                if found := changed_code(facts) or wrong_answer(facts):
                    self._live.fail(cell, Failure(phase="measuring", set_index=self._set, **found))

    def kill(self) -> None:
        """End whatever is still alive."""
        self._live.kill()

    @property
    def _alive(self) -> list[Cell]:
        """The cells that are alive, in the wave's own order, whatever they started in."""
        return [cell for cell in self._wave.cells if cell in self._live]

    def _longest_first(self, cells: Iterable[Cell]) -> list[Cell]:
        """The cells in random order, but first those that are compiled, which takes the longest.

        So no core is left without work while another compiles the last one.
        """
        return sorted(
            self._shuffled(cells, "starting"), key=lambda cell: not is_compiled(cell.mode)
        )

    def _shuffled(self, cells: Iterable[Cell], what: str) -> list[Cell]:
        """The cells in random order."""
        order = list(cells)
        self._chance(what).shuffle(order)
        return order

    def _chance(self, what: str | int) -> random.Random:
        """A generator with a seed of its own, so that a resumed run goes on as it would have."""
        key = (self._context.plan.seed, self._group, *self._live.where.values(), what)
        return random.Random(repr(key))

    def _stretch(self, indices: Iterable[int], over_budget: Callable[[], bool]) -> int:
        """Rounds that are judged together; return how many were begun.

        They end early where the budget does, or where a worker dies: what CPU time it had spent is
        then not known. A round that is interrupted is judged as far as it went.
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
                    self._round(round_index)
                finally:
                    walls_s[round_index] = context.now() - start
        finally:
            after = context.meter.read(pids)
            around = self._around(card_before)
            foreign = foreign_cpus(before, after)
            reasons = voiding.reasons(foreign, context.plan.foreign_cpus, around, allowed)
            self._why_void = voiding.in_words(reasons)
            for round_index, wall_s in walls_s.items():
                context.tell(
                    events.RoundEnded(
                        group=self._group,
                        **self._live.where,
                        round_index=round_index,
                        wall_s=wall_s,
                        foreign_cpus=foreign,
                        voided=bool(reasons),
                        reasons=reasons,
                        card=around,
                    )
                )
        return len(walls_s)

    def _round(self, round_index: int) -> None:
        order = visit_policy.order(
            self._alive, self._chance(round_index), against_base=self._wave.against_base
        )
        for cell in order:
            with self._live.may_fail(cell, "measuring"):
                self._visit(cell, round_index)
            self._context.progress.advance(cell.id)

    def _visit(self, cell: Cell, round_index: int) -> None:
        context, latency_s = self._context, self._latency_s[cell]
        timed, dropped = self._visiting.timed(latency_s), self._dropped
        chance = self._chance(f"{round_index}: {cell.id}")
        if dropped and chance.random() < visit_policy.EXTRA_DROPPED:
            dropped += 1
        context.sleep(self._visiting.pause_s)
        reply = self._live[cell].request(
            "measure",
            limit_s=timeouts.visit_timeout_s(self._visit_s(cell)),
            iterations=timed,
            dropped=dropped,
            back_to_back=max(visit_policy.LEAST_BACK_TO_BACK, timed),
        )
        block, disturbed_s = reply.get("back_to_back"), reply["disturbed_s"]
        context.tell(
            events.Visited(
                cell=cell.id,
                **self._live.where,
                round_index=round_index,
                dropped_s=sum(reply["dropped_s"]),
                host_s=tuple(reply["host_s"]),
                device_s=tuple(reply["device_s"]),
                disturbed_s=None if disturbed_s is None else tuple(disturbed_s),
                back_to_back=block and BackToBack(**block),
            )
        )

    def _around(self, before: CardReading | None) -> Around | None:
        """The card until now; None where its state is not known."""
        if before is None or self._card is None:
            return None
        return Around(before=before, after=self._card.meter.read())


def stretch(rounds: int, round_s: float) -> int:
    """How many of ``rounds`` are judged together next, so that none of them are left too few."""
    each = max(1, math.ceil(STRETCH_S / max(round_s, 1e-6)))
    return rounds if rounds < 1.5 * each else each


def changed_code(facts: Mapping[str, Any]) -> dict[str, str] | None:
    """Why rounds timed more than one program, by a worker's last facts; None where they did not."""
    counted = {
        "compiled {} more graphs": facts["recompiled_graphs"],
        "broke its graph {} more times": facts["late_graph_breaks"],
    }
    found = [what.format(count) for what, count in counted.items() if count]
    if not found:
        return None
    message = (
        f"it {' and '.join(found)} during the rounds, so that they timed more than one program"
    )
    return {"kind": "recompiled", "message": message}


def wrong_answer(facts: Mapping[str, Any]) -> dict[str, str] | None:
    """Why rounds timed wrong answers, by a worker's last facts; None where they were right.

    Workers of a gate's base may be of a revision that does not look.
    """
    why = facts.get("late_wrong_answer")
    return {"kind": "wrong_answer", "message": f"after the rounds {why}"} if why else None
