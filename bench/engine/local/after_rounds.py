"""What the workers of a wave do after their rounds: energy, last checks and profiles."""

from collections.abc import Callable, Mapping
from dataclasses import replace

from bench.cells.cell import Cell
from bench.cells.waves import Wave
from bench.engine.local import energy
from bench.engine.local.context import Context, Steps
from bench.engine.local.pool import Pool
from bench.launch import timeouts
from bench.launch.process import WorkerError
from bench.machine.card import Around, Card
from bench.records.record import Failure
from bench.records.reported import OperatorProfile, Setup
from bench.units import counted
from bench.worker.protocol import Finish, Finished, ProfileOperators, Sustain, Sustained

FINAL_CHECKS = 2  # outputs that a worker computes for its last check; inference needs one


class AfterRounds:
    """The requests to the workers of a wave after their rounds, in the order of the methods."""

    def __init__(
        self,
        context: Context,
        wave: Wave,
        live: Pool,
        card: Card | None,
        *,
        set_index: int,
        latency_s: Mapping[Cell, float],
    ) -> None:
        """``latency_s``: the latency of each cell, known once it is warmed up."""
        self._context = context
        self._wave = wave
        self._live = live
        self._card = card
        self._set = set_index
        self._latency_s = latency_s

    def measure_energy(self, over_budget: Callable[[], bool]) -> Steps:
        """Let each worker keep the card busy alone, and read the energy that it takes."""
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
                reply = self._sustain(cell, energy.WINDOW_S)
                after_j = meter.energy_j()
                around = Around(
                    before=replace(before, energy_j=before_j),
                    after=replace(meter.read(), energy_j=after_j),
                )
                self._live.report(
                    cell, energy.facts(around, reply, cell, self._card.allowed, self._set)
                )
            self._context.progress.advance(cell.id)
            yield

    def _sustain(self, cell: Cell, seconds: float) -> Sustained:
        limit_s = timeouts.visit_timeout_s(seconds)
        return self._live[cell].request(Sustain(seconds=seconds), limit_s=limit_s)

    def finish(self) -> Steps:
        """Request the final facts of each worker, and end it unless it is profiled next."""
        for cell in self._live:
            with self._live.may_fail(cell, "finishing"):
                checking_s = FINAL_CHECKS * self._latency_s.get(cell, 0.0)
                finished = self._live[cell].request(
                    Finish(), limit_s=timeouts.SHORT_S + timeouts.visit_timeout_s(checking_s)
                )
                self._live.report(cell, Setup.from_reply(finished))
                error = changed_code(finished) or wrong_answer(finished)
                if error or not self._is_profiled(cell):
                    self._live.close(cell)
                if error:
                    failure = Failure(phase="measuring", set_index=self._set, **error)
                    self._context.fail(cell, failure)
            yield

    def profile_operators(self) -> Steps:
        """Profile the operators of each worker that is still alive, and end it."""
        self._context.progress.phase(f"set {self._set + 1}: profiling operators", len(self._live))
        for cell in self._live:
            self._live.report(cell, Setup(operators=self._profile(cell)))
            self._context.progress.advance(cell.id)
            yield

    def _profile(self, cell: Cell) -> OperatorProfile:
        """Return the profile of a cell, or the failure of its worker, whose figures are complete.

        The library may compile the network once more.
        """
        limit_s = timeouts.PREPARE_S + timeouts.visit_timeout_s(self._latency_s[cell])
        try:
            profile = self._live[cell].request(ProfileOperators(), limit_s=limit_s)
            self._live.close(cell)
        except WorkerError as error:
            self._live.drop(cell)
            return OperatorProfile(error=f"its worker failed: {error}")
        return profile

    def _is_profiled(self, cell: Cell) -> bool:
        """Return whether to profile a cell: the first time that it is measured, no control."""
        own = self._wave.own if self._live.indices["wave_index"] else self._wave.cells
        return self._context.plan.profiles(self._set) and cell in own and not cell.control


def changed_code(finished: Finished) -> dict[str, str] | None:
    """Return the failure if the rounds timed more than one program, else None."""
    counts = (
        ("compiled", finished.recompiled_graphs, "more graph"),
        ("broke its graph", finished.late_graph_breaks, "more time"),
    )
    changes = [f"{verb} {counted(count, noun)}" for verb, count, noun in counts if count]
    if not changes:
        return None
    message = (
        f"it {' and '.join(changes)} during the rounds, so that they timed more than one program"
    )
    return {"kind": "recompiled", "message": message}


def wrong_answer(finished: Finished) -> dict[str, str] | None:
    """Return the failure if the output was wrong after the rounds, else None."""
    reason = finished.late_wrong_answer
    return {"kind": "wrong_answer", "message": f"after the rounds {reason}"} if reason else None
