"""Entry point of ``python -m bench.studies.history``; see command.py."""

import sys

from bench import exits

if __name__ == "__main__":
    sys.exit(exits.run("history study", "bench.studies.history.command"))
