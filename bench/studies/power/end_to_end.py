"""End-to-end gates: ``googlenet-bench gate`` on a temporary repository, as CI runs it."""

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
from typing import Any

from bench.api.profiles import MODES, REFERENCE_ARCH
from bench.errors import RequestError
from bench.gate import files
from bench.launch.launchers import ROOT
from bench.studies.power.cases import PROTOCOL

ARCH = "network:network"
SIX_CELLS = ((ARCH, REFERENCE_ARCH), MODES)
"""The archs and modes of a gate with as many cells as the default gate."""
LIMIT_S = 1800.0
TEMPORARY = "temporary"
_SOURCE = '''\
"""The network under test."""

import torch

from bench.studies.power.injection import Injected


def network() -> torch.nn.Module:
    return Injected({kind!r}, {amount})
'''


@dataclass(frozen=True, slots=True, kw_only=True)
class GateRow:
    """The verdict of one gate on one cell; a row of the CSV file."""

    began: str
    """Start of the gate, in UTC; the rows of one gate share it."""
    load: str
    """Other load on the machine: ``quiet`` or ``loaded``."""
    protocol: str
    """How the gate visited its workers; see ``PROTOCOL``."""
    percent: float
    """Calibrated slowdown of head, in percent; 0 if only a comment changed."""
    amount: int
    """Units injected into head."""
    seconds: float
    """Wall time of the command."""
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
    """Run a gate on a head whose ``ARCH`` has ``amount`` units injected, and return its rows.

    With an amount of 0, head differs from base in a comment only. Raises ``RequestError`` with the
    output of the gate if it gives no verdicts.
    """
    with _repository(amount) as folder:
        reports = folder / "gate-report"
        began, start = datetime.now(UTC).isoformat(timespec="seconds"), time.monotonic()
        try:
            process = _gate(folder, reports, archs, modes)
        except subprocess.TimeoutExpired as error:
            raise RequestError(f"a gate took more than {LIMIT_S:.0f} s and was stopped") from error
        seconds = time.monotonic() - start
        verdicts = _verdicts(reports / files.VERDICTS, process)
    return [
        GateRow(
            began=began,
            load=load,
            protocol=PROTOCOL,
            percent=percent,
            amount=amount,
            seconds=round(seconds, 1),
            exit_code=process.returncode,
            cell=cell["id"],
            verdict=cell["verdict"],
            sets=max(cell["judgement"]["sets"], (cell["judgement"]["tail"] or {}).get("sets", 0)),
            ratio=_number(cell["judgement"]["interval"]["estimate"]),
            ratio_low=_number(cell["judgement"]["interval"]["low"]),
            ratio_high=_number(cell["judgement"]["interval"]["high"]),
            torch=verdicts["head"]["environment"]["torch"],
        )
        for cell in verdicts["cells"]
    ]


def _verdicts(path: Path, process: "subprocess.CompletedProcess[str]") -> dict[str, Any]:
    """Return the verdicts that a gate has written; raise ``RequestError`` if there are none."""
    try:
        verdicts: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except OSError:
        output = "\n".join(filter(None, [process.stdout.strip(), process.stderr.strip()]))
        raise RequestError(
            f"a gate ended with exit code {process.returncode}: {output[-2000:]}"
        ) from None
    for cell in verdicts["cells"]:
        for side, failure in cell["failures"].items():
            raise RequestError(f"the {side} side of the gate failed: {failure['message']}")
    return verdicts


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


def _number(value: float | None) -> float:
    """Return a number of a verdict file, which stores NaN and infinities as null."""
    return math.nan if value is None else round(value, 5)


@contextmanager
def _repository(amount: int) -> Iterator[Path]:
    """Yield a repository; ``amount`` is injected in its working tree, not in its commit."""
    with tempfile.TemporaryDirectory(prefix="googlenet-bench-power-") as name:
        folder = Path(name) / "repository"
        (folder.parent / TEMPORARY).mkdir()
        folder.mkdir()
        network = folder / f"{ARCH.partition(':')[0]}.py"
        network.write_text(_SOURCE.format(kind="none", amount=0), encoding="utf-8")
        author = ("-c", "user.name=gate power", "-c", "user.email=gate@power.invalid")
        for command in (["init", "-q"], ["add", "."], [*author, "commit", "-qm", "base"]):
            subprocess.run(
                ["git", *command],  # noqa: S607 - git is found on PATH
                cwd=folder,
                check=True,
                capture_output=True,
            )
        source = _SOURCE.format(kind="conv" if amount else "none", amount=amount)
        network.write_text(source + "# Head.\n", encoding="utf-8")
        yield folder


def _variables(repository: Path) -> dict[str, str]:
    """Return the environment of the gate: this process's, without GitHub's variables.

    Without those, the gate does not write to a step's summary. Its temporary files, such as the
    base's tree, lie beside the repository, so that they are removed with it even if the gate is
    killed.
    """
    variables = {
        name: value for name, value in os.environ.items() if not name.startswith("GITHUB_")
    }
    return {
        **variables,
        "PYTHONPATH": os.pathsep.join([str(ROOT), variables.get("PYTHONPATH", "")]),
        "TMPDIR": str(repository.parent / TEMPORARY),
    }
