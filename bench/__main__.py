"""``googlenet-bench``, and ``python -m bench``, which is the same."""

import sys

from bench.exits import Exit


def main() -> int:
    """Run the command line; Ctrl-C is a sentence, while it is still being imported too."""
    try:
        from bench import cli

        return cli.main()
    except KeyboardInterrupt:
        print("googlenet-bench: interrupted", file=sys.stderr)
        return Exit.WRONG_REQUEST


if __name__ == "__main__":
    sys.exit(main())
