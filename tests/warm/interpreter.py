"""The program of the tests in place of ``sys.executable``, and the server that it asks."""

import os
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.warm import client

COLD = sys.executable
ROOT = Path(__file__).parents[2]
IMPORTS_S = 120  # more than the server's imports take
PRELOAD = ROOT / "bench" / "worker" / "preload.py"
MAIN = "import sys; sys.path[:0] = [sys.argv[3]]; from tests.warm import server; del sys.path[0]; "
MAIN += "server.main(*sys.argv[1:4])"


@contextmanager
def warm(*, after_imports: bool) -> Iterator[str]:
    """Start a server, and yield the program that acts like the interpreter.

    While the server is importing, and if it has ended, the program is the interpreter itself.
    ``after_imports``: whether to wait until the server can fork, at most two minutes.
    """
    with tempfile.TemporaryDirectory() as folder:
        address = str(Path(folder) / "socket")
        program = Path(folder) / "python"
        words = [COLD, "-IS", client.__file__, str(program), COLD, address]
        program.write_text(f'#!/bin/sh\nexec {shlex.join(words)} "$@"\n')
        program.chmod(0o755)
        variables = {**os.environ, "PYTORCH_NVML_BASED_CUDA_CHECK": "1"}
        variables.pop("PYTHONPATH", None)
        command = [COLD, "-Pc", MAIN, address, str(PRELOAD), str(ROOT)]
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, env=variables
        ) as server:
            until = time.monotonic() + (IMPORTS_S if after_imports else 0)
            while server.poll() is None and not Path(address).exists() and time.monotonic() < until:
                time.sleep(0.1)
            yield str(program)
