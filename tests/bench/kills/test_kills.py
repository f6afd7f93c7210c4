"""Kill the suite at random moments in real processes, and check that no data is lost.

The workers do no work, so that there is time for many kills; everything else is what users run.
Each chain of kills begins a run and resumes it until it is complete.
"""

import json
import multiprocessing
import os
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bench.records import journal, store
from bench.records.events import Event, Visited
from bench.records.outcome import Outcome
from tests.bench.kills import session
from tests.warm.interpreter import COLD

pytestmark = [pytest.mark.workers, pytest.mark.slow]

ROOT = Path(__file__).resolve().parents[3]
SETS, ROUNDS = 3, 4
KILLS, CHAINS = 52, 2
LONGEST_S = 120.0
INTERRUPTED = 2
# pytest and pandas are imported only once, because importing them takes time.
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["tests.bench.kills.session"])


@dataclass(kw_only=True)
class Chain:
    """A run, and the kills that it survives."""

    folder: Path
    rng: random.Random
    kills: Counter[str] = field(default_factory=Counter)
    completed: int = 0

    @property
    def log(self) -> Path:
        return self.folder / "log"

    @property
    def reports(self) -> Path:
        return self.folder / "reports"

    @property
    def journal(self) -> Path:
        return self.reports / journal.FILE

    @property
    def output(self) -> Path:
        return self.folder / "output"

    def start(self, *, disk_bytes: int | None = None) -> BaseProcess:
        python = self.folder / "python"
        if not python.exists():
            worker = Path(__file__).with_name("worker.py")
            python.write_text(f'#!/bin/sh\nexec {COLD} -P {worker} "$@"\n')
            python.chmod(0o755)
        arguments = [str(ROOT / "bench/suite"), f"--rootdir={ROOT}", "-q", "-p", "no:cacheprovider"]
        # Plugins are imported once for all sessions, and pytest 8 warns about each of them.
        arguments += ["-W", "ignore:Module already imported:pytest.PytestAssertRewriteWarning"]
        arguments += ["--archs=googlenet,torchvision", "--modes=eager,channels_last"]
        arguments += ["--batch-sizes=1,2", "--foreign-cpus=100", "--precision=1", "--seed=1"]
        arguments += [f"--sets={SETS}", f"--rounds={ROUNDS}", f"--report-dir={self.reports}"]
        if self.journal.exists():
            arguments.append("--resume")
        variables = {"KILLS_PYTHON": str(python), "KILLS_LOG": str(self.log)}
        # A git process that fails on a full disk leaves a lock. It must not lock this checkout.
        variables["GIT_INDEX_FILE"] = str(self.folder / "index")
        process = PROCESSES.Process(
            target=session.run, args=(arguments, variables, self.output, disk_bytes)
        )
        process.start()
        return process

    def end(self, process: BaseProcess) -> str:
        """Wait for the session to end; return its output."""
        process.join(LONGEST_S)
        output = self.output.read_text() if self.output.exists() else ""
        assert process.exitcode is not None, f"it hangs: {output}"
        return output

    def log_entries(self) -> list[dict[str, Any]]:
        """Return the workers' log entries, in order."""
        try:
            # Text after the last line end is dropped: it may be an incomplete line.
            *lines, _ = self.log.read_text().split("\n")
        except FileNotFoundError:
            return []
        return [json.loads(line) for line in lines]

    def answered(self) -> list[float]:
        """Return the first sample of each answered visit, in order."""
        return [entry["host_s"][0] for entry in self.log_entries() if "host_s" in entry]

    def in_journal(self) -> set[float]:
        """Return the first sample of each visit in the journal."""
        if not self.journal.exists():
            return set()
        *lines, _ = self.journal.read_bytes().split(b"\n")
        events = (msgspec.json.decode(line, type=Event) for line in lines)
        return {event.host_s[0] for event in events if isinstance(event, Visited)}

    def has_figures(self) -> bool:
        """Return whether the journal has a completed round in which a cell was visited."""
        if not self.in_journal():
            return False
        records = Outcome.from_events(journal.read(self.journal)).records()
        return any(record.has_figures for record in records)

    def kill_once(self) -> None:
        """Start or resume the run, interrupt it at a random moment, and check what it recorded."""
        before = len(self.log_entries())
        # The moment is a number of log entries: while it starts, prepares, measures or ends.
        moment = before + self.rng.randrange(1, 110)
        kind = self.rng.choice(list(KINDS))
        disk_bytes = None
        if kind == "full disk":
            written = self.journal.stat().st_size if self.journal.exists() else 0
            disk_bytes = written + self.rng.randrange(1, 20_000)
        answered_before = len(self.answered())
        process = self.start(disk_bytes=disk_bytes)
        deadline = time.monotonic() + LONGEST_S
        while process.exitcode is None and len(self.log_entries()) < moment:
            assert time.monotonic() < deadline, "it hangs"
            time.sleep(self.rng.random() * 0.002)
        ended_by_itself = process.exitcode is not None
        if not ended_by_itself:
            self.kills[kind] += 1
            KINDS[kind](self, process)
        output = self.end(process)
        assert "Traceback" not in output, output
        assert "INTERNALERROR" not in output, output
        self.check_no_survivor()
        if ended_by_itself and kind != "full disk":
            assert process.exitcode in {0, 1}, output
            self.check_complete()
            return
        # If the disk has no space even for the output, the exit code is 1 too, without a journal.
        wrote_run = kind != "full disk" or (self.reports / "run.json").exists()
        if process.exitcode in {0, 1} and not self.journal.exists() and wrote_run:
            self.check_complete()
            return
        if kind != "full disk":
            # Only the last answer may be lost, if the session was killed before writing it.
            lost = set(self.answered()[answered_before:-1]) - self.in_journal()
            assert not lost, (kind, process.exitcode, output)
        gentle = 1 if kind == "server" else INTERRUPTED
        if process.exitcode == gentle and kind in GENTLE and self.has_figures():
            assert store.read(self.reports / "run.json").status == "interrupted"
            assert "interrupted" in (self.reports / "report.md").read_text()

    def finish(self) -> None:
        """Resume the run without a kill, until it is complete."""
        process = self.start()
        output = self.end(process)
        assert process.exitcode in {0, 1}, output
        self.check_complete()

    def check_no_survivor(self) -> None:
        """Check that workers and their server end with the session."""
        pids = {entry["pid"] for entry in self.log_entries()}
        deadline = time.monotonic() + 10.0
        while alive := {pid for pid in pids if _is_alive(pid)}:
            assert time.monotonic() < deadline, f"outlived the run: {alive}"
            time.sleep(0.01)

    def check_complete(self) -> None:
        """Check that every set of every cell is complete and occurs once.

        Then remove the run file, so that the next run begins anew.
        """
        run = store.read(self.reports / "run.json")
        assert run.status == "complete"
        answered = set(self.answered())
        has_more_sets = any("measured it again" in note for note in run.notes)
        expected = _keys(range(SETS))
        assert len(run.cells) == 8
        failures = {record.cell: record.failure for record in run.cells if record.failure}
        for record in (*run.cells, *run.controls):
            keys = [
                (visit.set_index, visit.wave_index, visit.round_index) for visit in record.visits
            ]
            assert len(keys) == len(set(keys))
            assert {visit.host_s[0] for visit in record.visits} <= answered
            failure = failures.get(replace(record.cell, control=False))
            sets = sorted({set_index for set_index, _, _ in keys})
            if record.failure is None and failure:
                # A control is not measured after its reference has failed. If a kill made the run
                # repeat that set, the control is not measured in it either.
                complete_sets = (failure.set_index + more for more in (0, 1))
                prefixes = [expected[: sets * ROUNDS] for sets in complete_sets]
                possible = [*prefixes, _keys(sets)] if has_more_sets else prefixes
                assert sorted(keys) in possible, record.cell
            elif record.failure is None and has_more_sets:
                # A cell that died before it was resumed gets its sets after the others.
                assert len(sets) >= SETS or record.cell.control, record.cell
                assert sorted(keys) == _keys(sets), record.cell
            elif record.failure is None:
                assert sorted(keys) == expected, record.cell
            else:
                assert record.failure.kind == "died"
        self.completed += 1
        self.log.unlink()
        (self.reports / "run.json").unlink()


def _keys(sets: Iterable[int]) -> list[tuple[int, int, int]]:
    """Return the set, wave and round of every visit in complete sets."""
    return [(set_index, 0, round_index) for set_index in sets for round_index in range(ROUNDS)]


def _is_alive(pid: int) -> bool:
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return status.rpartition(")")[2].split()[0] not in {"Z", "X"}


def _signals(number: signal.Signals) -> Callable[[Chain, BaseProcess], None]:
    return lambda _, process: _kill(process.pid or 0, number)


def _kills_a_worker(chain: Chain, process: BaseProcess) -> None:
    """Kill a live worker, and a little later the session."""
    _, *workers = _living(chain)
    if workers:
        _kill(chain.rng.choice(workers))
    time.sleep(chain.rng.random() * 0.3)
    process.kill()


def _kills_the_server(chain: Chain, _: BaseProcess) -> None:
    _kill(next(_living(chain)))


def _living(chain: Chain) -> Iterator[int]:
    pids = dict.fromkeys(entry["pid"] for entry in chain.log_entries())
    return iter([pid for pid in pids if _is_alive(pid)] or [0])


def _kill(pid: int, number: signal.Signals = signal.SIGKILL) -> None:
    if pid:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            return


KINDS: dict[str, Callable[[Chain, BaseProcess], None]] = {
    "SIGKILL": _signals(signal.SIGKILL),
    "SIGTERM": _signals(signal.SIGTERM),
    "SIGINT": _signals(signal.SIGINT),
    "worker": _kills_a_worker,
    "server": _kills_the_server,
    "full disk": lambda _, __: None,
}
GENTLE = {"SIGTERM", "SIGINT", "server"}  # after these a session can still write its report


@pytest.mark.timeout(900)
@pytest.mark.skipif(sys.platform != "linux", reason="fork servers are for Linux")
def test_no_data_is_lost_if_a_run_is_killed_at_random_moments(tmp_path: Path) -> None:
    seed = int(os.environ.get("KILLS_SEED", "0")) or random.SystemRandom().randrange(1, 2**31)
    print("KILLS_SEED =", seed)
    chains = [
        Chain(folder=tmp_path / str(index), rng=random.Random(seed + index))
        for index in range(CHAINS)
    ]

    def run(chain: Chain) -> Chain:
        chain.reports.mkdir(parents=True)
        chain.journal.touch()  # like a session that was killed before its first line
        while chain.kills.total() < KILLS // CHAINS:
            chain.kill_once()
        if chain.journal.exists():
            chain.finish()
        return chain

    with ThreadPoolExecutor(CHAINS) as pool:
        ended = list(pool.map(run, chains))
    kills = sum((chain.kills for chain in ended), Counter[str]())
    print(dict(kills), [chain.completed for chain in ended])
    assert kills.total() >= KILLS
    assert set(kills) == set(KINDS)
    assert sum(chain.completed for chain in ended) >= CHAINS
