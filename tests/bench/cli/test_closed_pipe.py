"""Output whose reader has gone, as in ``googlenet-bench archs | head -1``."""

import os
import subprocess
import sys

import pytest

from tests.limits import HANG_S


@pytest.mark.parametrize("command", ["archs", "--help"])
def test_a_closed_pipe_ends_the_command_without_a_message(command: str) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    ended = subprocess.run(
        [sys.executable, "-m", "bench", command],
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        timeout=HANG_S,
    )
    os.close(writing)
    assert (ended.returncode, ended.stderr) == (0, "")
