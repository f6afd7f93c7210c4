"""Imports and hashes that a worker otherwise needs at its first compilation.

The fork server imports this module, so that this work is done once and not in each worker. It is
1.5 s of the 4.5 s that GoogLeNet takes with its graph in the cache. This module runs no operator
and does not use CUDA.

The imported modules are private parts of PyTorch. If one does not exist, it is skipped, and the
workers do its work themselves.
"""

import contextlib
import importlib
from collections.abc import Callable
from functools import partial

import torch._inductor.compile_fx  # noqa: F401 - imported for forked workers

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


def _ignore_errors(step: Callable[[], object]) -> None:
    with contextlib.suppress(Exception):
        step()


for _name in _IMPORTED_LATE:
    _ignore_errors(partial(importlib.import_module, _name))
for _module, _function in _CALLED_ONCE:
    _ignore_errors(partial(_call, _module, _function))
