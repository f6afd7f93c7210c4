"""Preloading: what a worker would otherwise import and hash at its first compilation.

Imported by the fork server, so that it is done once and not by each worker: 1.5 of the 4.5 seconds
that GoogLeNet takes with its graph in the cache. It runs no operator and touches no CUDA.

These are private parts of PyTorch: where one is not there the workers do it themselves.
"""

import contextlib
import importlib
from collections.abc import Callable
from functools import partial

import torch._inductor.compile_fx  # noqa: F401 - imported for those who come after

_IMPORTED_LATE = (
    "torch._dynamo.repro.after_dynamo",
    "torch._export.passes",
    "torch._inductor.codegen.memory_planning",
    "torch._inductor.kernel_template_choice",
    "torch.export._trace",
    "torch.fx.experimental.validator",
    "torch.utils.cpp_extension",
)
_CALLED_ONCE = (
    ("torch._inductor.codegen.common", "init_backend_registration"),
    ("torch._inductor.codecache", "torch_key"),
    ("torch._inductor.runtime.triton_compat", "triton_key"),
)


def _call(module: str, function: str) -> None:
    getattr(importlib.import_module(module), function)()


def _quietly(step: Callable[[], object]) -> None:
    with contextlib.suppress(Exception):
        step()


for _name in _IMPORTED_LATE:
    _quietly(partial(importlib.import_module, _name))
for _module, _function in _CALLED_ONCE:
    _quietly(partial(_call, _module, _function))
