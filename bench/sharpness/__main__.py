"""Entry point of ``python -m bench.sharpness``; see command.py."""

import sys

from bench import exits

if __name__ == "__main__":
    sys.exit(exits.run("sharpness", "bench.sharpness.command"))
