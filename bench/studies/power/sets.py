"""Sets of injected networks: one log-ratio per set and case, to the network without injection."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from statistics import median

from bench.api.profiles import PRECISION
from bench.cells.cell import Cell
from bench.cells.plan import Plan
from bench.engine.hosts.local import LocalHost
from bench.engine.progress import Progress
from bench.engine.run import Run
from bench.gate.decision import Pair
from bench.launch.launchers import Launcher
from bench.launch.process import WorkerError
from bench.records import events
from bench.records.outcome import Outcome
from bench.studies.power.cases import PROTOCOL, Case
from bench.studies.power.injection import arch

BASE = arch("none", 0)
SAME = arch("none", 1)  # the same network under a second name


def cell(mode: str, name: str) -> Cell:
    """Return the cell of an injected network."""
    return Cell(arch=name, mode=mode, dtype="fp32", batch_size=1, task="infer", device="cpu")


@dataclass(frozen=True, slots=True, kw_only=True)
class SetRow:
    """The result of one set for one case; a row of the CSV file."""

    began: str
    """Time of the set, in UTC; the rows of one set share it."""
    load: str
    """Other load on the machine: ``quiet``, or ``loaded`` on purpose."""
    mode: str
    kind: str
    percent: float
    amount: int
    """Units injected."""
    rounds: int
    """Rounds of the set."""
    protocol: str
    """How the workers were visited: the value of ``PROTOCOL`` when the set was measured."""
    log_ratio: float
    """Log-ratio of latencies, with over without injection; NaN if too many rounds were voided."""
    base_s: float
    """Median latency of the network without injection."""
    torch: str
    tail_log_ratio: float = math.nan
    """Log-ratio of the slowest fifths; NaN for sets from before it was recorded."""

    @property
    def case(self) -> Case:
        """The case: the mode and the injection."""
        return Case(mode=self.mode, kind=self.kind, percent=self.percent)


def collect(
    amounts: Mapping[Case, int],
    sets: int,
    launcher: Launcher,
    progress: Progress,
    *,
    load: str,
    save: Callable[[Sequence[SetRow]], None],
) -> None:
    """Measure sets, and call ``save`` with the rows of each set when it ends.

    Raises ``WorkerError`` if no worker can be started, and ``KeyboardInterrupt``.
    """
    plan = _plan(amounts, sets, seed=int(datetime.now(UTC).timestamp()))

    class RowSaver:
        """A journal that saves the rows of each set after its last wave."""

        def append(self, event: events.Event) -> None:
            if isinstance(event, events.WaveEnded):
                is_last = event.wave_index == len(run.outcome.waves[event.group]) - 1
                if is_last:
                    save(list(_rows(run.outcome, amounts, event.set_index, load)))

    host = LocalHost(plan, launcher, progress)
    run = Run(plan, host, progress, begin=lambda _: RowSaver(), accepts_voided_sets=True)
    outcome = run.measure()
    if outcome.status == "interrupted":
        if outcome.notes:
            raise WorkerError("start", outcome.notes[-1])
        raise KeyboardInterrupt


def _plan(amounts: Mapping[Case, int], sets: int, *, seed: int) -> Plan:
    bases = [cell(mode, BASE) for mode in dict.fromkeys(case.mode for case in amounts)]
    return Plan(
        cells=(*bases, *(_cell(case, amount) for case, amount in amounts.items())),
        sets=sets,
        rounds=None,
        precision=PRECISION,
        extra_s=0.0,
        budget_s=None,
        seed=seed,
        reference_arch=BASE,
        versions=True,
    )


def _cell(case: Case, amount: int) -> Cell:
    return cell(case.mode, SAME if case.is_same else arch(case.kind, amount))


def _rows(
    outcome: Outcome, amounts: Mapping[Case, int], set_index: int, load: str
) -> Iterator[SetRow]:
    """Yield the row of each case that has not failed, for one set."""
    records = {record.cell: record for record in outcome.records()}
    now = datetime.now(UTC).isoformat(timespec="seconds")
    for case, amount in amounts.items():
        head, base = (
            replace(record, visits=tuple(v for v in record.visits if v.set_index == set_index))
            for record in (records[_cell(case, amount)], records[cell(case.mode, BASE)])
        )
        if head.failure or base.failure:
            continue
        rounds = outcome.allotted[head.cell.group]
        pair = Pair(head=head, base=base, rounds=rounds)
        yield SetRow(
            began=now,
            load=load,
            mode=case.mode,
            kind=case.kind,
            percent=case.percent,
            amount=amount,
            rounds=rounds,
            protocol=PROTOCOL,
            log_ratio=round(next(iter(pair.log_ratios), math.nan), 6),
            base_s=round(median(base.host_s), 6) if base.host_s else math.nan,
            torch=str(outcome.environment.torch),
            tail_log_ratio=round(next(iter(pair.tail_log_ratios), math.nan), 6),
        )
