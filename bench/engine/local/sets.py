"""One set of one group on this machine: fresh workers, wave by wave, and their rounds."""

from collections.abc import Collection, Generator
from dataclasses import replace

from bench.cells import waves
from bench.cells.cell import Cell
from bench.engine.local import rounds_per_set
from bench.engine.local.context import Context, Steps
from bench.engine.local.wave import LiveWave
from bench.engine.tasks import SetTask
from bench.records import events


class LocalSet:
    """The measurement of one task; waves may be split on the way."""

    def __init__(self, context: Context, task: SetTask, *, host: str, importing_s: float) -> None:
        """``importing_s`` is the time that the first import of PyTorch took, in seconds."""
        self._context = context
        self._task = task
        self._host = host
        self._importing_s = importing_s
        self._waves = task.waves
        self._rounds = task.rounds
        self._start_s = context.now()
        self._is_cut_short = False
        self._live: LiveWave | None = None

    def measure(self) -> Steps:
        """Measure the set; raises ``WorkerError`` if no worker can be started."""
        wave_index = 0
        try:
            while wave_index < len(self._waves):
                if self._is_due(wave_index) and (yield from self._measure_wave(wave_index)):
                    continue
                wave_index += 1
        finally:
            if self._live is not None:
                self._live.kill()

    def _is_due(self, wave_index: int) -> bool:
        """Return whether a wave can still give new figures, and the budget is not used up."""
        if wave_index in self._task.ended:
            return False
        wave = self._waves[wave_index]
        candidates = wave.own if wave_index else (*wave.own, wave.reference)
        return any(map(self._is_alive, candidates)) and not self._over_budget()

    def _is_alive(self, cell: Cell) -> bool:
        return cell in self._task.cells and cell.id not in self._context.failed

    def _over_budget(self) -> bool:
        """Return whether the budget is used up; an event says so once."""
        left_s = self._task.budget_left_s
        is_over = left_s is not None and self._context.now() - self._start_s > left_s
        if is_over and not self._is_cut_short:
            self._is_cut_short = True
            self._context.emit(events.CutShort(self._task.group, self._task.set_index))
        return is_over

    def _measure_wave(self, wave_index: int) -> Generator[None, None, bool]:
        """Start fresh workers, all alive together, and measure their rounds.

        Returns whether to measure the wave again (``_split_if_needed``).
        """
        context, task = self._context, self._task
        start_s = context.now()
        live = yield from self._prepare(wave_index)
        note = context.memory_budget.excess(task.group, live.held_bytes)
        if note and not task.is_over_memory:
            context.emit(events.Noted(sentence=note, over_memory=task.group))
            context.progress.note(note)
        with context.timed("warming up"):
            yield from live.warm_up()
        rounds = self._allot(live, set_s=context.now() - start_s - live.compiling_s)
        yield
        complete = yield from live.visit_in_rounds(rounds, self._over_budget)
        if context.plan.energy and task.set_index < context.plan.sets:
            with context.timed("measuring energy"):
                yield from live.after_rounds.measure_energy(self._over_budget)
            yield
        with context.timed("finishing"):
            yield from live.after_rounds.finish()
        if context.plan.profiles(task.set_index):
            with context.timed("profiling operators"):
                yield from live.after_rounds.profile_operators()
        if self._split_if_needed(wave_index, live):
            return True
        if complete:
            context.emit(events.WaveEnded(task.group, task.set_index, wave_index))
        return False

    def _prepare(self, wave_index: int) -> Generator[None, None, LiveWave]:
        """Start and prepare a wave's workers, in the fastest order if memory holds all of them."""
        wave = self._waves[wave_index]
        is_held = wave in self._task.fitting
        live = yield from self._start(wave_index, in_any_order=is_held)
        # Memory held the wave before, but no longer does. The deferred cells may include the
        # reference or the control, so start again with those first.
        if is_held and live.deferred:
            live.kill()
            live = yield from self._start(wave_index, in_any_order=False)
        return live

    def _start(self, wave_index: int, *, in_any_order: bool) -> Generator[None, None, LiveWave]:
        context, task, wave = self._context, self._task, self._waves[wave_index]
        context.emit(events.WaveBegan(task.group, task.set_index, wave_index, host=self._host))
        live = self._live = LiveWave(
            context,
            wave,
            cells=[cell for cell in wave.cells if self._is_alive(cell)],
            set_index=task.set_index,
            wave_index=wave_index,
            in_any_order=in_any_order,
        )
        yield from live.prepare()
        return live

    def _allot(self, live: LiveWave, *, set_s: float) -> int:
        """Return the rounds per set of a group: as planned, or from the times of its first wave.

        ``set_s`` is the time to start the wave without compilation, in seconds.
        """
        if self._rounds is not None:
            return self._rounds
        # Memory held none of its own cells: the reference alone does not decide the rounds.
        if not live.round_s or ((live.out_of_memory or live.deferred) and not live.owns_any):
            return rounds_per_set.MIN_ROUNDS
        share = self._context.launcher.importing_share / len(self._context.plan.groups)
        self._rounds = rounds_per_set.rounds(
            live.effort,
            importing_s=share * self._importing_s,
            set_s=set_s,
            round_s=live.round_s,
            workers=live.workers,
        )
        self._context.emit(events.Allotted(group=self._task.group, rounds=self._rounds))
        return self._rounds

    def _split_if_needed(self, wave_index: int, live: LiveWave) -> bool:
        """Split a wave if memory did not hold all of its cells; those that ran out may fail.

        Returns whether to measure the wave again: one of the cells that it still has lacks figures,
        or the second part owns a cell that has some. If a wave cannot be split, its cells that ran
        out of memory fail; a cell that another wave owns fails only there.
        """
        ran_out = live.out_of_memory
        apart = {*live.deferred, *ran_out}
        why = (
            "held no more workers at a time"
            if live.deferred
            else "ran out while they were measured"
        )
        is_split = bool(apart) and self._split(wave_index, apart, why)
        wave = self._waves[wave_index]
        if is_split:
            is_complete = apart.isdisjoint(wave.cells)
            return not (is_complete and apart.issuperset(self._waves[wave_index + 1].own))
        needed = {*wave.own, wave.reference, waves.control(wave.reference)}
        for cell, failure in ran_out.items():
            if replace(cell, base=False) in needed:
                self._context.fail(cell, failure)
        elsewhere = {replace(cell, base=False) for cell in ran_out} - needed
        if elsewhere:
            self._tell_waves(
                f"{self._task.group}: {', '.join(sorted(cell.name for cell in elsewhere))} ran out "
                f"of memory beside {wave.own[0].name}, which was not compared with it there."
            )
        return False

    def _split(self, wave_index: int, apart: Collection[Cell], why: str) -> bool:
        """Split a wave in two, with the cells ``apart`` in the second; False if impossible."""
        group = self._task.group
        parts = self._waves[wave_index].split(apart)
        if len(parts) == 1:
            return False
        self._waves = (*self._waves[:wave_index], *parts, *self._waves[wave_index + 1 :])
        self._tell_waves(
            f"{group}: memory {why} ({self._context.memory_budget.largest_use(group)}), "
            f"so its cells were measured in {len(self._waves)} waves."
        )
        return True

    def _tell_waves(self, reason: str) -> None:
        """Tell the waves from now on, of which the current one did not fit into memory."""
        waves = tuple(tuple(cell.id for cell in wave.own) for wave in self._waves)
        self._context.emit(events.Split(group=self._task.group, waves=waves, reason=reason))
        self._context.progress.note(reason)
