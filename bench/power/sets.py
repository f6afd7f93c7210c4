"""Sets of injected networks: each case beside the network without it, a number a set."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from statistics import median

from bench.cells.cell import Cell
from bench.cells.plan import Plan
from bench.engine.context import Progress
from bench.engine.launch import Launcher
from bench.engine.process import WorkerError
from bench.engine.run import Run
from bench.gate.decision import Pair
from bench.power.cases import PROTOCOL, Case
from bench.power.injection import arch
from bench.records import events
from bench.records.outcome import Outcome
from bench.suite.profiles import PRECISION

BASE = arch("none", 0)
SAME = arch("none", 1)  # a second worker of the same network


def cell(mode: str, name: str) -> Cell:
    """The cell of an injected network."""
    return Cell(arch=name, mode=mode, dtype="fp32", batch_size=1, task="infer", device="cpu")


@dataclass(frozen=True, slots=True, kw_only=True)
class SetRow:
    """What a set said of a case."""

    began: str
    """When, in UTC: rows with the same are of one set."""
    load: str
    """What else the machine did: ``quiet``, or ``loaded`` on purpose."""
    mode: str
    kind: str
    percent: float
    amount: int
    """Units that were injected."""
    rounds: int
    """Rounds of the set."""
    protocol: str
    """How its workers were visited: ``PROTOCOL``, or what that was when the set was measured."""
    log_ratio: float
    """Of latencies, to the network without it; NaN where too many rounds were voided."""
    base_s: float
    """Median latency of the network without it."""
    torch: str
    tail_log_ratio: float = math.nan
    """Of the slowest fifths; NaN where it was not kept, as of earlier sets."""

    @property
    def case(self) -> Case:
        """What was injected, and where."""
        return Case(mode=self.mode, kind=self.kind, percent=self.percent)


def collect(
    amounts: Mapping[Case, int],
    sets: int,
    launcher: Launcher,
    progress: Progress,
    *,
    load: str,
    keep: Callable[[Sequence[SetRow]], None],
) -> None:
    """Measure sets, and hand the rows of each to ``keep`` as it ends.

    Raises ``WorkerError`` where no worker can be started, and ``KeyboardInterrupt``.
    """
    plan = _plan(amounts, sets, seed=int(datetime.now(UTC).timestamp()))

    class Watch:
        """Told of every event; has the rows of a set kept once all its waves have ended."""

        def append(self, event: events.Event) -> None:
            if isinstance(event, events.WaveEnded):
                is_last = event.wave_index == len(run.outcome.waves[event.group]) - 1
                if is_last:
                    keep(list(_rows(run.outcome, amounts, event.set_index, load)))

    run = Run(plan, launcher, progress, begin=lambda _: Watch())
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
    """What one set said of every case that has not failed."""
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
            torch=str(outcome.environment["torch"]),
            tail_log_ratio=round(next(iter(pair.tail_log_ratios), math.nan), 6),
        )
