"""Changes to modules, made right after their import, because importing torch takes seconds."""

import importlib.util
import sys
from collections.abc import Callable, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any


def _torch(module: Any) -> None:
    from tests.bench.rehearsal import cuda

    cuda.install(module)


def _triton(module: Any) -> None:
    """Tell Inductor that there is no Triton, which it would use for CUDA devices."""
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
    """An import finder that changes the modules of ``CHANGES`` right after their import."""

    def __init__(self) -> None:
        self._pending = dict(CHANGES)

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return the module's own spec with a loader that also changes the module."""
        del path, target
        if name not in self._pending:
            return None
        change = self._pending.pop(name)
        spec = importlib.util.find_spec(
            name
        )  # calls this finder again, which now ignores the module
        if spec is None or spec.loader is None:
            return None
        execute = spec.loader.exec_module

        def execute_and_change(module: ModuleType) -> None:
            execute(module)
            change(sys.modules[name])

        spec.loader.exec_module = execute_and_change  # type: ignore[method-assign]
        return spec
