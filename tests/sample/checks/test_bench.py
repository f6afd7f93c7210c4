"""A test of the sample project's own package bench."""

import importlib
import sys


def test_own_package() -> None:
    assert importlib.import_module("bench").OWNER == "sample"
    assert "torch" not in sys.modules
