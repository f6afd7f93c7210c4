"""Python imports this at start if this folder is on its path; it installs the simulated GPUs."""

import sys

from tests.bench.rehearsal.after import AfterImport

sys.meta_path.insert(0, AfterImport())
