"""The choice of a network: filters without timing, then runs of fewer and fewer candidates.

Every step that measures is a run of the suite's engine (``recording.measure``) with a plan of its
own, so fresh processes, rounds in random order and voiding are those of any run. The last one is an
ordinary run, whose report is that of the choice. The reference of a step is one of its candidates,
because the reference is measured in every round. What step 1 counted is not counted again.
"""

from dataclasses import dataclass, field, replace

from bench import signals
from bench.api import accuracies, planning, recording
from bench.api.measure_request import MeasureRequest
from bench.api.pick_request import PickRequest
from bench.api.planning import Defaults
from bench.api.profiles import PROFILES
from bench.archs import find
from bench.archs.source import Accuracy
from bench.cells import plan as plans
from bench.cells.plan import Plan
from bench.engine.local.probe_worker import ProbeWorker
from bench.engine.progress import Progress
from bench.launch.process import WorkerError
from bench.pick import choice, filters, halving
from bench.pick.candidate import Candidate, Cause, Limits, remaining
from bench.pick.choice import Choice
from bench.records import events
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
COUNT_S = 1.5  # to count one of torchvision's networks, on two cores


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """The choice, and the run that its figures are from."""

    choice: Choice
    run: RunRecord | None
    """The final run, or the last one that was measured; None if nothing was."""
    is_interrupted: bool = False


@dataclass(slots=True, kw_only=True)
class _Race:
    """The candidates and what is known, from step to step."""

    request: MeasureRequest
    plan: Plan
    limits: Limits
    progress: Progress
    candidates: list[Candidate]
    known: list[events.Counted | events.PeakMeasured] = field(default_factory=list)
    run: RunRecord | None = None
    step: int = filters.STEP

    def choose(self, unfinished: str = "", *, is_interrupted: bool = False) -> Result:
        """Return the choice with what is known now; ``unfinished`` says why that is not all."""
        chosen = choice.choose(self.candidates, self.run, self.limits, unfinished)
        return Result(choice=chosen, run=self.run, is_interrupted=is_interrupted)

    def interrupted(self) -> Result:
        """Return the choice after an interrupt in this step."""
        sentence = f"Interrupted in step {self.step}: the choice is made from what was measured."
        return self.choose(sentence, is_interrupted=True)


def pick(
    request: PickRequest, shared: MeasureRequest, progress: Progress, *, command: str = ""
) -> Result:
    """Choose a network; ``command`` is what repeats the choice.

    After an interrupt, the choice is made from what was measured. Raises ``RequestError`` if the
    request is invalid, ``WorkerError`` if no worker can be started, and ``KeyboardInterrupt`` if
    the interrupt came before anything was measured.
    """
    limits, measured = request.limits(), request.measured(shared)
    plan = planning.make_plan(measured, DEFAULTS, command=command)
    if request.accuracy is not None:
        own = accuracies.read_csv(request.accuracy)
        plan = planning.with_accuracies(plan, own)
        if note := accuracies.unmatched(own, dict.fromkeys(cell.arch for cell in plan.cells)):
            progress.note(f"--accuracy {request.accuracy}: {note}")
    race = _Race(
        request=measured,
        plan=plan,
        limits=limits,
        progress=progress,
        candidates=_candidates(plan),
    )
    race.candidates = filters.by_accuracy(race.candidates, limits)
    if not remaining(race.candidates):
        return race.choose()
    _count(race)
    if not remaining(race.candidates):
        return race.choose()
    try:
        return _measure(race)
    except KeyboardInterrupt:
        if race.run is None:
            raise
        return race.interrupted()


def _candidates(plan: Plan) -> list[Candidate]:
    """Return a candidate for each cell; those whose libraries are not installed are dropped."""
    known = {arch: _accuracy(arch, plan) for arch in dict.fromkeys(c.arch for c in plan.cells)}
    result = []
    for cell in plan.cells:
        candidate = Candidate(cell=cell, accuracy=known[cell.arch])
        why = plans.missing(cell)
        result.append(candidate.drop(filters.STEP, Cause.NOT_INSTALLED, why) if why else candidate)
    return result


def _accuracy(name: str, plan: Plan) -> Accuracy | None:
    """Return the user's own accuracy of an arch, or else the published one."""
    arch = find(name)
    if name in plan.accuracies or arch.missing:
        return plan.accuracies.get(name)
    return arch.accuracy_on(plan.image_size)


def _count(race: _Race) -> None:
    """Count the remaining candidates and measure the peak rate.

    Those over a limit are dropped, and those that cannot be built.
    """
    plan, progress = _plan_of(race, race.candidates), race.progress
    archs = list(dict.fromkeys(cell.arch for cell in plan.cells))
    dtypes = list(dict.fromkeys(cell.dtype for cell in plan.cells))
    total = counted(len(race.candidates), "candidate")
    progress.note(
        f"{total}, of which {len(plan.cells)} may fit; counting them takes roughly "
        f"{planning.duration(len(archs) * COUNT_S)}"
    )
    progress.phase("step 1: counting", len(archs) + len(dtypes))
    with recording.start(plan) as started, ProbeWorker(started, plan) as probe:
        probe.describe()
        for arch in archs:
            try:
                race.known.append(events.Counted(arch=arch, cost=probe.count(arch)))
            except WorkerError as error:
                if error.kind != "request":
                    raise
                race.candidates = filters.failed(race.candidates, arch, str(error))
            progress.advance(arch)
        if not remaining(race.candidates):
            return
        started.wait()
        for dtype in dtypes:
            peak = events.PeakMeasured(dtype=dtype, facts=probe.measure_peak(dtype))
            race.known.append(peak)
            progress.advance(f"peak rate in {dtype}")
            if peak.caveat:
                progress.note(peak.caveat)
    costs = {each.arch: each.cost for each in race.known if isinstance(each, events.Counted)}
    peaks = {each.dtype: each.facts for each in race.known if isinstance(each, events.PeakMeasured)}
    race.candidates = filters.by_counts(race.candidates, costs, peaks, race.limits)


def _measure(race: _Race) -> Result:
    """Measure the stages that are worthwhile, and then the final run."""
    for index, stage in enumerate(halving.STAGES):
        if not halving.is_worthwhile(index, race.candidates):
            continue
        short = replace(
            _plan_of(race, race.candidates),
            sets=stage.sets,
            rounds=halving.ROUNDS,
            precision=ANY_PRECISION,
            extra_s=0.0,
        )
        run = _run(race, short)
        if run.status != "complete":
            return _ended(race, run)
        race.candidates = halving.drop(race.candidates, race.limits, stage, race.step)
        if not remaining(race.candidates):
            return race.choose()
    run = _run(race, _plan_of(race, race.candidates))
    return race.choose() if run.status == "complete" else _ended(race, run)


def _run(race: _Race, plan: Plan) -> RunRecord:
    """Measure a plan, and add its figures to the candidates.

    Interrupts have their usual effect again when it returns: a run ignores them at its end.
    """
    race.step += 1
    candidates = counted(len(plan.cells), "candidate")
    announcement = f"step {race.step}: {candidates}: {planning.estimate(plan)}"
    archs, dtypes = ({getattr(c, name) for c in plan.cells} for name in ("arch", "dtype"))
    known = [
        each
        for each in race.known
        if (each.arch in archs if isinstance(each, events.Counted) else each.dtype in dtypes)
    ]
    with signals.single_interrupt():
        run = recording.measure(
            race.request, plan, race.progress, None, known, announcement=announcement
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
