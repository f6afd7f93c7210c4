"""The choice of a network: filters without timing, then runs of fewer and fewer candidates.

Every step that measures is a run of the suite's engine (``measuring.measure``) with a plan of its
own, so fresh processes, rounds in random order and voiding are those of any run. The last one is an
ordinary run, whose report is that of the choice. The reference of a step is one of its candidates,
because the reference is measured in every round. What step 1 counted is not counted again.

Every step follows from the ones before it. So an interrupted choice is resumed by going through its
steps again, each from its journal (bench/api/step_journals.py).
"""

from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

from bench import signals
from bench.api import accuracies, measuring, pick_counts, planning
from bench.api.measure_request import MeasureRequest
from bench.api.pick_counts import Counts
from bench.api.pick_request import PickRequest
from bench.api.planning import Defaults
from bench.api.profiles import PROFILES
from bench.api.step_journals import StepJournals
from bench.archs import find
from bench.archs.source import Accuracy
from bench.cells import plan_values
from bench.cells.plan import Plan
from bench.engine.progress import Progress
from bench.pick import choice, filters, halving
from bench.pick.candidate import Candidate, Cause, Limits, remaining
from bench.pick.choice import Choice
from bench.records.record import RunRecord
from bench.stats import ANY_PRECISION
from bench.units import counted

DEFAULTS = Defaults(
    profile="pick",
    archs=(),
    modes=("eager",),
    batch_sizes=(1,),
    sets=PROFILES["quick"].sets,
    extra_s=PROFILES["quick"].extra_s,
    ceiling=True,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """The choice, and the run that its figures are from."""

    choice: Choice
    run: RunRecord | None
    """The final run, or the last one that was measured; None if nothing was."""
    is_interrupted: bool = False
    journals: StepJournals
    """The journals of its steps, to be deleted once the result is written."""

    @property
    def can_be_resumed(self) -> bool:
        """Whether the journals let the choice continue where it ended."""
        return bool(self.journals.files) and self._ended_early

    @property
    def _ended_early(self) -> bool:
        return self.is_interrupted or (self.run is not None and self.run.can_be_resumed)


@dataclass(slots=True, kw_only=True)
class _Race:
    """The candidates and what is known, from step to step."""

    request: MeasureRequest
    plan: Plan
    limits: Limits
    progress: Progress
    journals: StepJournals
    candidates: list[Candidate]
    notes: tuple[str, ...] = ()
    """Sentences on the request."""
    counts: Counts = field(default_factory=Counts)
    run: RunRecord | None = None
    step: int = filters.STEP

    def choose(self, unfinished: str = "", *, is_interrupted: bool = False) -> Result:
        """Return the choice with what is known now; ``unfinished`` says why that is not all."""
        chosen = choice.choose(self.candidates, self.run, self.limits, unfinished)
        return Result(
            choice=replace(chosen, sentences=(*chosen.sentences, *self.notes)),
            run=self.run,
            is_interrupted=is_interrupted,
            journals=self.journals,
        )

    def interrupted(self) -> Result:
        """Return the choice after an interrupt in this step."""
        how = (
            "--resume with the same options continues it"
            if self.journals.files
            else "only with --report-dir can --resume continue it"
        )
        sentence = (
            f"Interrupted in step {self.step}: the choice is made from what was measured; {how}."
        )
        return self.choose(sentence, is_interrupted=True)


def pick(
    request: PickRequest, shared: MeasureRequest, progress: Progress, *, command: str = ""
) -> Result:
    """Choose a network; ``command`` is what repeats the choice.

    After an interrupt, the choice is made from what was measured. Raises ``RequestError`` if the
    request is invalid or the choice cannot be resumed, ``WorkerError`` if no worker can be started,
    and ``KeyboardInterrupt`` if the interrupt came before anything was measured.
    """
    limits, measured = request.limits(), request.measured(shared)
    plan = planning.make_plan(measured, DEFAULTS, command=command)
    plan, notes = _with_accuracies(plan, request.accuracy)
    for note in notes:
        progress.note(note)
    race = _Race(
        request=measured,
        plan=plan,
        limits=limits,
        progress=progress,
        journals=StepJournals(report_dir=request.report_dir, resume=shared.resume),
        candidates=_candidates(plan),
        notes=notes,
    )
    race.journals.begin(filters.STEP, progress)
    race.candidates = filters.by_accuracy(race.candidates, limits)
    if not remaining(race.candidates):
        return race.choose()
    begun = race.journals.read(filters.STEP, progress)
    if begun is not None and measured.seed is None:
        race.plan = replace(race.plan, seed=begun.plan.seed)
    with ExitStack() as exits:
        _count(race, exits)
        if not remaining(race.candidates):
            return race.choose()
        try:
            return _measure(race)
        except KeyboardInterrupt:
            if race.run is None:
                raise
            return race.interrupted()


def _with_accuracies(plan: Plan, file: Path | None) -> tuple[Plan, tuple[str, ...]]:
    """Return a plan with the accuracies of a CSV file, and notes on all that are not used."""
    archs = tuple(dict.fromkeys(cell.arch for cell in plan.cells))
    stated = {accuracies.SOURCE: accuracies.configured(Path.cwd())}
    if file is not None:
        own = accuracies.read_csv(file)
        plan, stated[str(file)] = planning.with_accuracies(plan, own), own
    notes = (accuracies.unused(own, archs, where) for where, own in stated.items())
    return plan, tuple(filter(None, notes))


def _candidates(plan: Plan) -> list[Candidate]:
    """Return a candidate for each cell; those whose libraries are not installed are dropped."""
    known = {arch: _accuracy(arch, plan) for arch in dict.fromkeys(c.arch for c in plan.cells)}
    result = []
    for cell in plan.cells:
        candidate = Candidate(cell=cell, accuracy=known[cell.arch])
        why = plan_values.missing(cell)
        result.append(candidate.drop(filters.STEP, Cause.NOT_INSTALLED, why) if why else candidate)
    return result


def _accuracy(name: str, plan: Plan) -> Accuracy | None:
    """Return the user's own accuracy of an arch, or else the published one."""
    arch = find(name)
    if name in plan.accuracies or arch.missing:
        return plan.accuracies.get(name)
    return arch.accuracy_on(plan.image_size)


def _count(race: _Race, exits: ExitStack) -> None:
    """Count the remaining candidates, and drop those over a limit or that cannot be built."""
    plan = _plan_of(race, race.candidates)
    total = counted(len(race.candidates), "candidate")
    race.progress.note(f"{total}, of which {len(plan.cells)} may fit")
    race.counts = pick_counts.count(race.request, plan, race.progress, race.journals, exits)
    for arch, why in race.counts.failed.items():
        race.candidates = filters.failed(race.candidates, arch, why)
    race.candidates = filters.by_counts(
        race.candidates, race.counts.costs, race.counts.ceilings, race.limits
    )


def _measure(race: _Race) -> Result:
    """Measure the steps that are worthwhile, and then the final run."""
    for index, step in enumerate(halving.STEPS):
        if not halving.is_worthwhile(index, race.candidates):
            continue
        short = replace(
            _plan_of(race, race.candidates),
            sets=step.sets,
            rounds=halving.ROUNDS,
            precision=ANY_PRECISION,
            extra_s=0.0,
        )
        run = _run(race, short)
        if run.status != "complete":
            return _ended(race, run)
        race.candidates = halving.drop(race.candidates, race.limits, step, race.step)
        if not remaining(race.candidates):
            return race.choose()
    run = _run(race, _plan_of(race, race.candidates))
    return race.choose() if run.status == "complete" else _ended(race, run)


def _run(race: _Race, plan: Plan) -> RunRecord:
    """Measure a plan, and add its figures to the candidates.

    Interrupts have their usual effect again when it returns: a run ignores them at its end.
    """
    race.step += 1
    is_resumed = race.journals.has(race.step)
    takes = "continued from its journal" if is_resumed else planning.estimate(plan)
    with signals.single_interrupt():
        run = measuring.measure(
            replace(race.request, resume=is_resumed),
            plan,
            race.progress,
            race.journals.folder(race.step),
            race.counts.events_of(plan),
            announcement=f"step {race.step}: {counted(len(plan.cells), 'candidate')}: {takes}",
        )
    race.candidates = halving.measured(race.candidates, run, race.step)
    race.run = run
    return run


def _plan_of(race: _Race, candidates: list[Candidate]) -> Plan:
    """Return the plan of the remaining candidates.

    The reference is the one that the choice would fall on now, or before there are latencies, one
    that is fast to measure.
    """
    left = remaining(candidates)
    reference = choice.favourite(left, race.limits)
    return replace(
        race.plan,
        cells=tuple(each.cell for each in left),
        reference_arch=reference.cell.arch,
        reference_mode=reference.cell.mode,
    )


def _ended(race: _Race, run: RunRecord) -> Result:
    """Return the choice after a run that is not complete, with its own sentence on that if any."""
    return race.choose(run.why_ended) if run.why_ended else race.interrupted()
