"""``python -m bench.gpu``; what it does is in command.py."""

import sys

from bench import exits

if __name__ == "__main__":
    sys.exit(exits.run("gpu", "bench.gpu.command"))
