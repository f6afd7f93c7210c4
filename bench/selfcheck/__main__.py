"""``python -m bench.selfcheck``; what it does is in command.py."""

import sys

from bench import exits

if __name__ == "__main__":
    sys.exit(exits.run("selfcheck", "bench.selfcheck.command"))
