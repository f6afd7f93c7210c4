"""``python -m tests.bench.rehearsal -- COMMAND``: a command of Python's, with GPUs to rehearse on.

For example ``-m pytest bench/suite --device cuda``. The figures are no GPU's.
"""

import argparse
import subprocess
import sys

from tests.bench.rehearsal import ROOT, environment


def main() -> int:
    """Run it."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.rehearsal", description=__doc__)
    parser.add_argument("--devices", type=int, default=1, help="how many there are (1)")
    parser.add_argument("--speed", type=float, default=1.0, help="of each, in the host's (1)")
    parser.add_argument("command", nargs="+", help="arguments of the interpreter, after --")
    given = parser.parse_args()
    played = environment(devices=given.devices, speed=given.speed)
    return subprocess.run(
        [sys.executable, *given.command], cwd=ROOT, env=played, check=False
    ).returncode


if __name__ == "__main__":
    sys.exit(main())
