"""Entry point of ``python -m bench.studies.power``; see command.py."""

import sys

from bench import exits

if __name__ == "__main__":
    sys.exit(exits.run("gate_power", "bench.studies.power.command"))
