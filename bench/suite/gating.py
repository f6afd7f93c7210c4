"""The files of a gate in a pytest session, and its messages to GitHub."""

import os
import sys
from pathlib import Path

import pytest

from bench.api.gate import HEAD_CHANGED
from bench.gate import files, report
from bench.gate.decision import Gate
from bench.suite import reports
from bench.suite.session import SessionRequest


def write(session: SessionRequest, gate: Gate) -> reports.Written:
    """Write the reports, also to GitHub.

    Ends the session with exit code 2 if head changed while it was measured.
    """
    written = reports.write(session.folder, gate.run, lambda folder: files.write_all(gate, folder))
    _report_to_github(gate)
    if HEAD_CHANGED in gate.run.notes:
        pytest.exit(HEAD_CHANGED, returncode=2)
    return written


def _report_to_github(gate: Gate) -> None:
    """Write the step summary and the annotations when this runs in GitHub Actions."""
    if summary := os.environ.get("GITHUB_STEP_SUMMARY"):
        with Path(summary).open("a", encoding="utf-8") as file:
            file.write(report.render(gate))
    if os.environ.get("GITHUB_ACTIONS") == "true":
        sys.stdout.write("".join(f"{line}\n" for line in report.annotations(gate)))
