"""Runs a module of this ``bench``, even if the current folder has another package of that name.

``python start.py MODULE ARGUMENT…`` is ``python -m MODULE ARGUMENT…``, except that ``bench`` is the
package that contains this file, and no other that comes first in the search path.
"""

import runpy
import sys
from pathlib import Path

FILE = Path(__file__).resolve()


def main() -> None:
    """Import this ``bench``, and run the module that the first argument names."""
    if not sys.flags.safe_path:
        sys.path[0] = str(Path.cwd())  # instead of this file's folder
    sys.path.insert(0, str(FILE.parents[2]))
    import bench  # noqa: F401 - later imports take its modules from where it is

    del sys.path[0]
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
