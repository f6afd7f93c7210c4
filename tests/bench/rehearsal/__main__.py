"""``python -m tests.bench.rehearsal -- COMMAND``: run a Python command with simulated GPUs.

For example ``-m pytest bench/suite --device cuda``. The figures are not those of a GPU.
"""

import argparse
import subprocess
import sys

from tests.bench.rehearsal import ROOT, environment


def main() -> int:
    """Run the command and return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.rehearsal", description=__doc__)
    parser.add_argument("--devices", type=int, default=1, help="number of simulated devices (1)")
    parser.add_argument(
        "--speed", type=float, default=1.0, help="speed of each device, relative to the host (1)"
    )
    parser.add_argument("command", nargs="+", help="arguments of the interpreter, after --")
    options = parser.parse_args()
    simulated = environment(devices=options.devices, speed=options.speed)
    return subprocess.run(
        [sys.executable, *options.command], cwd=ROOT, env=simulated, check=False
    ).returncode


if __name__ == "__main__":
    sys.exit(main())
