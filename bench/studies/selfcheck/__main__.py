"""Entry point of ``python -m bench.studies.selfcheck``; see command.py."""

import sys

from bench import exits

if __name__ == "__main__":
    sys.exit(exits.run("selfcheck", "bench.studies.selfcheck.command"))
