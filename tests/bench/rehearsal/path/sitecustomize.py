"""Imported by each interpreter that has this folder on its path: it lets a GPU be played."""

import sys

from tests.bench.rehearsal.after import AfterImport

sys.meta_path.insert(0, AfterImport())
