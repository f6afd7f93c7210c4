"""Entry point of ``googlenet-bench`` and of ``python -m bench``, which are the same."""

import sys

from bench import exits


def main() -> int:
    """Run the command line."""
    return exits.run("googlenet-bench", "bench.cli")


if __name__ == "__main__":
    sys.exit(main())
