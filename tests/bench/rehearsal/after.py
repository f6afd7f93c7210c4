"""What is changed of a module once it was imported, and not before: torch takes seconds."""

import importlib.util
import sys
from collections.abc import Callable, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any


def _torch(module: Any) -> None:
    from tests.bench.rehearsal import cuda

    cuda.play(module)


def _triton(module: Any) -> None:
    """Inductor asks Triton for code of the CUDA devices that it sees; there is no such compiler."""
    module.has_triton = lambda **_: False
    module.triton_hash_with_backend = lambda: None


def _timer(module: Any) -> None:
    from tests.bench.rehearsal import cuda

    module.timer = cuda.timer


def _do_bench(module: Any) -> None:
    from tests.bench.rehearsal import cuda

    module.do_bench = cuda.do_bench


def _driver(module: Any) -> None:
    from tests.bench.rehearsal import driver

    module._library = driver.Driver
    module._nvml_answers = lambda: True


def _nvml(module: Any) -> None:
    from tests.bench.rehearsal import nvml

    module.load = nvml.load


CHANGES: dict[str, Callable[[Any], None]] = {
    "torch": _torch,
    "torch.utils._triton": _triton,
    "triton.testing": _do_bench,
    "torch.utils.benchmark.utils.timer": _timer,
    "bench.machine.driver": _driver,
    "bench.machine.nvml": _nvml,
}


class AfterImport(MetaPathFinder):
    """Finds a module as the others do, and has it changed as soon as it is there."""

    def __init__(self) -> None:
        self._left = dict(CHANGES)

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The module's own, with a loader that changes it besides."""
        del path, target
        if name not in self._left:
            return None
        change = self._left.pop(name)
        spec = importlib.util.find_spec(name)  # which asks us too: it is no more of those left
        if spec is None or spec.loader is None:
            return None
        execute = spec.loader.exec_module

        def and_change(module: ModuleType) -> None:
            execute(module)
            change(sys.modules[name])

        spec.loader.exec_module = and_change  # type: ignore[method-assign]
        return spec
