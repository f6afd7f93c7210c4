"""Run ``python -m bench.gpu``; see command.py."""

import sys

from bench import exits

if __name__ == "__main__":
    sys.exit(exits.run("gpu", "bench.gpu.command"))
