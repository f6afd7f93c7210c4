"""Nothing is lost: the suite in real processes, killed for real, at random moments.

Its workers do no work, so that many kills fit; everything else is what users run. Each chain of
kills begins a run and resumes it until it is complete.
"""

import json
import multiprocessing
import os
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
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

ROOT = Path(__file__).resolve().parents[3]
SETS, ROUNDS = 3, 4
KILLS, CHAINS = 52, 2
LONGEST_S = 120.0
INTERRUPTED = 2
# What pytest and pandas take to import is imported once.
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["tests.bench.kills.session"])


@dataclass(kw_only=True)
class Chain:
    """A run, and what is done to it."""

    folder: Path
    chance: random.Random
    done: Counter[str] = field(default_factory=Counter)
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
            python.write_text(f'#!/bin/sh\nexec {sys.executable} -P {worker} "$@"\n')
            python.chmod(0o755)
        arguments = [str(ROOT / "bench/suite"), f"--rootdir={ROOT}", "-q", "-p", "no:cacheprovider"]
        # Plugins are imported once for all sessions, which pytest 8 says of each.
        arguments += ["-W", "ignore:Module already imported:pytest.PytestAssertRewriteWarning"]
        arguments += ["--archs=googlenet,torchvision", "--modes=eager,channels_last"]
        arguments += ["--batch-sizes=1,2", "--foreign-cpus=100", "--precision=1", "--seed=1"]
        arguments += [f"--sets={SETS}", f"--rounds={ROUNDS}", f"--report-dir={self.reports}"]
        if self.journal.exists():
            arguments.append("--resume")
        known = {"KILLS_PYTHON": str(python), "KILLS_LOG": str(self.log)}
        # A git that the full disk ends leaves its lock behind: not beside this checkout's index.
        known["GIT_INDEX_FILE"] = str(self.folder / "index")
        process = PROCESSES.Process(
            target=session.run, args=(arguments, known, self.output, disk_bytes)
        )
        process.start()
        return process

    def end(self, process: BaseProcess) -> str:
        """Wait for it; what it printed."""
        process.join(LONGEST_S)
        output = self.output.read_text() if self.output.exists() else ""
        assert process.exitcode is not None, f"it hangs: {output}"
        return output

    def told(self) -> list[dict[str, Any]]:
        """What its workers said, in order."""
        try:
            # Without what comes after the last line end: half of a line that is being written.
            *lines, _ = self.log.read_text().split("\n")
        except FileNotFoundError:
            return []
        return [json.loads(line) for line in lines]

    def answered(self) -> list[float]:
        """The first sample of each visit that was answered, in order."""
        return [entry["host_s"][0] for entry in self.told() if "host_s" in entry]

    def kept(self) -> set[float]:
        """The first sample of each visit in the journal."""
        if not self.journal.exists():
            return set()
        *lines, _ = self.journal.read_bytes().split(b"\n")
        events = (msgspec.json.decode(line, type=Event) for line in lines)
        return {event.host_s[0] for event in events if isinstance(event, Visited)}

    def has_figures(self) -> bool:
        """Whether the journal tells of a round that ended, in which a cell was visited."""
        if not self.kept():
            return False
        records = Outcome.from_events(journal.read(self.journal)).records()
        return any(record.has_figures for record in records)

    def kill_once(self) -> None:
        """Start or go on, do one thing at a random moment, and look at what is left."""
        before = len(self.told())
        # While it starts, prepares, measures, or as it ends: by how far it has come.
        moment = before + self.chance.randrange(1, 110)
        kind = self.chance.choice(list(KINDS))
        disk_bytes = None
        if kind == "full disk":
            written = self.journal.stat().st_size if self.journal.exists() else 0
            disk_bytes = written + self.chance.randrange(1, 20_000)
        answered_before = len(self.answered())
        process = self.start(disk_bytes=disk_bytes)
        deadline = time.monotonic() + LONGEST_S
        while process.exitcode is None and len(self.told()) < moment:
            assert time.monotonic() < deadline, "it hangs"
            time.sleep(self.chance.random() * 0.002)
        ended_by_itself = process.exitcode is not None
        if not ended_by_itself:
            self.done[kind] += 1
            KINDS[kind](self, process)
        output = self.end(process)
        assert "Traceback" not in output, output
        assert "INTERNALERROR" not in output, output
        self.check_no_survivor()
        if ended_by_itself and kind != "full disk":
            assert process.exitcode in {0, 1}, output
            self.check_complete()
            return
        # A disk that takes not even what it prints ends it with 1 too, before it has a journal.
        wrote_run = kind != "full disk" or (self.reports / "run.json").exists()
        if process.exitcode in {0, 1} and not self.journal.exists() and wrote_run:
            self.check_complete()
            return
        if kind != "full disk":
            # An answer may have met nobody who could write it: the last one, and no other.
            lost = set(self.answered()[answered_before:-1]) - self.kept()
            assert not lost, (kind, process.exitcode, output)
        if process.exitcode == INTERRUPTED and kind in GENTLE and self.has_figures():
            assert store.read(self.reports / "run.json").status == "interrupted"
            assert "interrupted" in (self.reports / "report.md").read_text()

    def finish(self) -> None:
        """Go on without a kill, to the end."""
        process = self.start()
        output = self.end(process)
        assert process.exitcode in {0, 1}, output
        self.check_complete()

    def check_no_survivor(self) -> None:
        """Workers and their server end with whom they work for."""
        pids = {entry["pid"] for entry in self.told()}
        deadline = time.monotonic() + 10.0
        while alive := {pid for pid in pids if _is_alive(pid)}:
            assert time.monotonic() < deadline, f"outlived the run: {alive}"
            time.sleep(0.01)

    def check_complete(self) -> None:
        """Every set of every cell is whole, and there once; and the next run begins anew."""
        run = store.read(self.reports / "run.json")
        assert run.status == "complete"
        answered = set(self.answered())
        whole = [(s, 0, r) for s in range(SETS) for r in range(ROUNDS)]
        assert len(run.cells) == 8
        failures = {record.cell: record.failure for record in run.cells if record.failure}
        for record in (*run.cells, *run.controls):
            where = [(v.set_index, v.wave_index, v.round_index) for v in record.visits]
            assert len(where) == len(set(where))
            assert {visit.host_s[0] for visit in record.visits} <= answered
            without = failures.get(replace(record.cell, control=False))
            if record.failure is None and without:
                # A control is not wanted once its reference has failed: not even for that set,
                # where a kill had it measured anew.
                known = (without.set_index + more for more in (0, 1))
                assert sorted(where) in [whole[: sets * ROUNDS] for sets in known], record.cell
            elif record.failure is None:
                assert sorted(where) == whole, record.cell
            else:
                assert record.failure.kind == "died"
        self.completed += 1
        self.log.unlink()
        (self.reports / "run.json").unlink()


def _is_alive(pid: int) -> bool:
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return status.rpartition(")")[2].split()[0] not in {"Z", "X"}


def _signals(number: signal.Signals) -> Callable[[Chain, BaseProcess], None]:
    return lambda _, process: _kill(process.pid or 0, number)


def _kills_a_worker(chain: Chain, process: BaseProcess) -> None:
    """Kill one that is alive, and a little later what it works for."""
    _, *workers = _living(chain)
    if workers:
        _kill(chain.chance.choice(workers))
    time.sleep(chain.chance.random() * 0.3)
    process.kill()


def _kills_the_server(chain: Chain, _: BaseProcess) -> None:
    _kill(next(_living(chain)))


def _living(chain: Chain) -> Iterator[int]:
    pids = dict.fromkeys(entry["pid"] for entry in chain.told())
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
GENTLE = {"SIGTERM", "SIGINT", "server"}  # those after which it can still write its report


@pytest.mark.timeout(900)
@pytest.mark.skipif(sys.platform != "linux", reason="fork servers are for Linux")
def test_nothing_is_lost_at_random_moments(tmp_path: Path) -> None:
    seed = int(os.environ.get("KILLS_SEED", "0")) or random.SystemRandom().randrange(1, 2**31)
    print("KILLS_SEED =", seed)
    chains = [
        Chain(folder=tmp_path / str(index), chance=random.Random(seed + index))
        for index in range(CHAINS)
    ]

    def run(chain: Chain) -> Chain:
        chain.reports.mkdir(parents=True)
        chain.journal.touch()  # as one that was killed before its first line leaves it
        while chain.done.total() < KILLS // CHAINS:
            chain.kill_once()
        if chain.journal.exists():
            chain.finish()
        return chain

    with ThreadPoolExecutor(CHAINS) as pool:
        ended = list(pool.map(run, chains))
    done = sum((chain.done for chain in ended), Counter[str]())
    print(dict(done), [chain.completed for chain in ended])
    assert done.total() >= KILLS
    assert set(done) == set(KINDS)
    assert sum(chain.completed for chain in ended) >= CHAINS
