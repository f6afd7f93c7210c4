"""What is changed in a network before it is executed: one module for each rewrite.

A rewrite is a ``Rewrite`` at the top level of a module here, or of a plugin (bench/registry.py).
Naming one imports no torch; applying it does.
"""

from bench.registry import Registry
from bench.rewrites.rewrite import Rewrite

REWRITES = Registry(Rewrite, __name__)
"""Every rewrite, by name."""
