"""The study: every detector that is installed looks at the series of every case."""

import multiprocessing
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from itertools import product

import numpy as np

from bench.engine.progress import Progress
from bench.studies.changes import labelled, trials
from bench.studies.changes.cases import CASES, RECENT, RUNS, UNCHANGED, WATCHED, Case
from bench.studies.changes.detectors import DETECTORS, GATE, Detector
from bench.studies.changes.noise import ASSUMED, NOISES, Measured
from bench.studies.changes.trials import Labels, Row

IN_ORDER = "A/A rounds"
LABELLED = "otava-test-data"
_FEWER = 20  # times fewer series of cases that take longer
_DRAWS = 20_000  # to measure the standard deviation of a noise


def installed(progress: Progress) -> Mapping[str, Detector]:
    """Return the detectors that can be used; a note says what the others need."""
    for sentence in {detector.missing for detector in DETECTORS.values() if detector.missing}:
        progress.note(f"skipped: {sentence}")
    return {name: each for name, each in DETECTORS.items() if not each.missing}


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What one row of the study needs; it can be sent to another process."""

    detector: str
    noise: str
    case: Case = UNCHANGED
    pattern: str = ""
    """Generator of the labelled series; empty for all others."""

    @property
    def labels(self) -> Labels:
        """The labels of its row."""
        return Labels(
            detector=self.detector,
            version=DETECTORS[self.detector].version,
            noise=self.noise,
            case=self.pattern or self.case.name,
            percent=self.case.percent,
        )


def run(
    measured: Measured, count: int, processes: int, progress: Progress, known: Iterable[Labels]
) -> Iterator[Row]:
    """Yield the rows that are not known yet; ``count`` is the number of series if nothing changes.

    Watched cases, and those with changes, take longer and have a 20th of it.
    """
    done = {replace(each, sd=0.0) for each in known}
    jobs = [job for job in _jobs(installed(progress), progress) if job.labels not in done]
    progress.phase("changes", len(jobs))
    todo = partial(_row, measured=measured, count=count)
    with ExitStack() as closing:
        rows: Iterable[Row] = map(todo, jobs)
        if processes > 1 and jobs:
            pool = ProcessPoolExecutor(processes, multiprocessing.get_context("spawn"))
            rows = closing.enter_context(pool).map(todo, jobs)
        for row in rows:
            progress.advance(f"{row.detector}: {row.noise}, {row.case} {row.percent:g} %")
            yield row


def _jobs(detectors: Mapping[str, Detector], progress: Progress) -> Iterator[Job]:
    """Yield the jobs; those on which the conclusions rest come first."""
    sentence = labelled.missing()
    if sentence:
        progress.note(f"skipped: {sentence}")
    patterns = () if sentence else tuple(labelled.patterns())
    cases = sorted(CASES, key=lambda case: case not in (UNCHANGED, *RECENT))
    for noise, case in product((name for name in NOISES if name in ASSUMED), cases):
        for name in detectors:
            # The gate is about recent changes.
            if name != GATE or case in (UNCHANGED, WATCHED, *RECENT):
                yield Job(detector=name, noise=noise, case=case)
    for name, pattern in product(detectors, patterns):
        yield Job(detector=name, noise=LABELLED, pattern=pattern)
    for name in detectors:
        yield Job(detector=name, noise=IN_ORDER)
    for noise, case in product(NOISES, (UNCHANGED, *RECENT, WATCHED)):
        if noise not in ASSUMED:
            yield from (Job(detector=name, noise=noise, case=case) for name in detectors)


def _row(job: Job, *, measured: Measured, count: int) -> Row:
    detector, case, few = DETECTORS[job.detector], job.case, max(1, count // _FEWER)
    labels = job.labels
    if job.pattern:
        series = labelled.series(labelled.patterns()[job.pattern], few)
        return trials.run(detector.find, series, labels=labels)
    if job.noise == IN_ORDER:
        in_order = ((values, ()) for values in trials.in_order(measured, RUNS))
        return trials.run(detector.find, in_order, labels=labels)
    source = NOISES[job.noise]
    # The same series for all detectors.
    seed = zlib.crc32(f"{job.noise} {case.name} {case.percent}".encode())
    sd = float(np.std(source(np.random.default_rng(0), measured, _DRAWS)))
    simulated = trials.simulated(case, source, measured, count if case == UNCHANGED else few, seed)
    return trials.run(
        detector.find,
        ((values, case.truths) for values in simulated),
        is_watched=case.is_watched,
        labels=replace(labels, sd=round(sd, 6)),
    )


def names(rows: Sequence[Row]) -> list[str]:
    """Return the detectors of rows, in the order of the table."""
    return [name for name in DETECTORS if any(row.detector == name for row in rows)]
