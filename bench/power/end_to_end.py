"""Gates held end to end: ``googlenet-bench gate`` on a repository made for it, as CI runs it."""

import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from bench.engine.launch import ROOT
from bench.gate import files
from bench.names import RequestError
from bench.power.cases import PROTOCOL
from bench.suite.profiles import MODES, REFERENCE_ARCH

ARCH = "network:network"
SIX_CELLS = ((ARCH, REFERENCE_ARCH), MODES)
"""The archs and modes of a gate of as many cells as the default one has."""
LIMIT_S = 1800.0
TEMPORARY = "temporary"
_SOURCE = '''\
"""The network under test."""

import torch

from bench.power.injection import Injected


def network() -> torch.nn.Module:
    return Injected({kind!r}, {amount})
'''


@dataclass(frozen=True, slots=True, kw_only=True)
class GateRow:
    """What one gate said of one cell."""

    began: str
    """When, in UTC: rows with the same are of one gate."""
    load: str
    protocol: str
    """How the gate visited its workers."""
    percent: float
    """By which head was made slower; 0 where nothing but a comment changed."""
    amount: int
    seconds: float
    """From the command's start to its end."""
    exit_code: int
    cell: str
    verdict: str
    sets: int
    ratio: float
    ratio_low: float
    ratio_high: float
    torch: str


def run_gate(
    *,
    archs: Sequence[str] = (ARCH,),
    modes: Sequence[str],
    load: str,
    percent: float,
    amount: int,
) -> list[GateRow]:
    """Hold a gate on a head whose ``ARCH`` is slower by so much, or by a comment; its rows.

    Raises ``RequestError`` with what it said where it gave no verdicts.
    """
    with _repository(amount) as folder:
        reports = folder / "gate-report"
        began, start = datetime.now(UTC).isoformat(timespec="seconds"), time.monotonic()
        try:
            ended = _gate(folder, reports, archs, modes)
        except subprocess.TimeoutExpired as error:
            raise RequestError(f"a gate took more than {LIMIT_S:.0f} s") from error
        seconds = time.monotonic() - start
        try:
            found = json.loads((reports / files.VERDICTS).read_text(encoding="utf-8"))
        except OSError:
            said = "\n".join(filter(None, [ended.stdout.strip(), ended.stderr.strip()]))
            raise RequestError(f"a gate ended with {ended.returncode}: {said[-2000:]}") from None
    for cell in found["cells"]:
        for side, failure in cell["failures"].items():
            raise RequestError(f"the gate's {side} failed: {failure['message']}")
    return [
        GateRow(
            began=began,
            load=load,
            protocol=PROTOCOL,
            percent=percent,
            amount=amount,
            seconds=round(seconds, 1),
            exit_code=ended.returncode,
            cell=cell["id"],
            verdict=cell["verdict"],
            sets=max(cell["judgement"]["sets"], (cell["judgement"]["tail"] or {}).get("sets", 0)),
            ratio=_number(cell["judgement"]["interval"]["estimate"]),
            ratio_low=_number(cell["judgement"]["interval"]["low"]),
            ratio_high=_number(cell["judgement"]["interval"]["high"]),
            torch=found["head"]["environment"]["torch"],
        )
        for cell in found["cells"]
    ]


def _gate(
    folder: Path, reports: Path, archs: Sequence[str], modes: Sequence[str]
) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [
            *(sys.executable, "-m", "bench", "gate", "--base", "HEAD"),
            *("--archs", ",".join(archs), "--modes", ",".join(modes)),
            *("--report-dir", str(reports)),
        ],
        cwd=folder,
        env=_variables(folder),
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )


def _number(found: float | None) -> float:
    """A number of a verdict file, where what is none is null."""
    return math.nan if found is None else round(found, 5)


@contextmanager
def _repository(amount: int) -> Iterator[Path]:
    """A repository whose committed network has nothing added, and whose own has an amount."""
    with tempfile.TemporaryDirectory(prefix="googlenet-bench-power-") as name:
        folder = Path(name) / "repository"
        (folder.parent / TEMPORARY).mkdir()
        folder.mkdir()
        network = folder / f"{ARCH.partition(':')[0]}.py"
        network.write_text(_SOURCE.format(kind="none", amount=0), encoding="utf-8")
        author = ("-c", "user.name=gate power", "-c", "user.email=gate@power.invalid")
        for command in (["init", "-q"], ["add", "."], [*author, "commit", "-qm", "base"]):
            subprocess.run(
                ["git", *command],  # noqa: S607 - wherever the user has it
                cwd=folder,
                check=True,
                capture_output=True,
            )
        source = _SOURCE.format(kind="conv" if amount else "none", amount=amount)
        network.write_text(source + "# Head.\n", encoding="utf-8")
        yield folder


def _variables(repository: Path) -> dict[str, str]:
    """Ours, but for what would have the gate write to a step's summary.

    What it needs for a while, the base's tree above all, lies beside the repository: where the gate
    is killed, it goes with that.
    """
    ours = {name: value for name, value in os.environ.items() if not name.startswith("GITHUB_")}
    return {
        **ours,
        "PYTHONPATH": os.pathsep.join([str(ROOT), ours.get("PYTHONPATH", "")]),
        "TMPDIR": str(repository.parent / TEMPORARY),
    }
