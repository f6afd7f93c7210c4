"""Entry point of ``python -m bench.selfcheck``; see command.py."""

import sys

from bench import exits

if __name__ == "__main__":
    sys.exit(exits.run("selfcheck", "bench.selfcheck.command"))
