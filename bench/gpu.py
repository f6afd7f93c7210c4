"""``python3 -m bench.gpu DIR``: everything that needs a GPU; see bench/studies/gpu/command.py."""

import sys

from bench import exits

if __name__ == "__main__":
    sys.exit(exits.run("gpu", "bench.studies.gpu.command"))
