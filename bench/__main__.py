"""``python -m bench``: the same as ``googlenet-bench``."""

import sys

from bench.cli import main

sys.exit(main())
