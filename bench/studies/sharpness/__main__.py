"""Entry point of ``python -m bench.studies.sharpness``; see command.py."""

import sys

from bench import exits

if __name__ == "__main__":
    sys.exit(exits.run("sharpness", "bench.studies.sharpness.command"))
