"""Runs a module of this ``bench``, even if the current folder has another package of that name.

``python run_module.py MODULE ARGUMENT…`` is ``python -m MODULE ARGUMENT…``, except that ``bench``
is the package that contains this file, and no other that comes first in the search path. Networks
of the project's settings are imported from its folder instead of the current one.
"""

import runpy
import sys
from pathlib import Path

FILE = Path(__file__).resolve()


def main() -> None:
    """Import this ``bench``, and run the module that the first argument names."""
    first = 0 if sys.flags.safe_path else 1  # without it, Python inserts this file's folder
    sys.path[:first] = [str(FILE.parents[2])]
    from bench.archs import source_file  # later imports take modules of bench from where it is

    sys.path[:1] = [str(root) for root in source_file.roots()[:first]]
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
