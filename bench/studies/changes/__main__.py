"""Entry point of ``python -m bench.studies.changes``; see command.py."""

import sys

from bench import exits

if __name__ == "__main__":
    sys.exit(exits.run("changes", "bench.studies.changes.command"))
