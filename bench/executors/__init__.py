"""How a network is executed: one module for each executor, or for each family of them.

An executor is an ``Executor`` at the top level of a module here, or of a plugin
(bench/registry.py). An option that executors take is an ``Option`` there. Naming one imports no
torch; preparing a network with it does.
"""

from bench.executors.executor import Executor
from bench.executors.option import Option
from bench.registry import Registry

EXECUTORS = Registry(Executor, __name__)
"""Every executor, by name."""
OPTIONS = Registry(Option, __name__)
"""Every option of executors, by name."""
