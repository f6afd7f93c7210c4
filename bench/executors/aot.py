"""AOTInductor: a network exported and compiled ahead of time to a package, without Python.

Every worker compiles the package anew: it contains the weights, and no cache keeps it.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from bench.capabilities import INFERENCE
from bench.error_text import one_line
from bench.errors import RequestError
from bench.executors.compile import PRELOAD
from bench.executors.executor import Executor, Program
from bench.executors.exported import export
from bench.executors.file_format import FileFormat
from bench.executors.request import ExecutorRequest
from bench.records.reported import OperatorProfile

if TYPE_CHECKING:
    from torch import nn
    from torch.export import ExportedProgram

NAME = "aot"
# What a package says of the machine that it was compiled for.
_TARGET = {"AOTI_CPU_ISA": "instructions", "AOTI_COMPUTE_CAPABILITY": "compute capability"}


class PackagedProgram(Program):
    """A network that AOTInductor compiled, loaded from its package."""

    def __init__(self, package: Any, freezing: bool) -> None:
        """``package``: a ``torch._inductor.package.AOTICompiledModel``."""
        self._package = package
        self._freezing = freezing

    def run(self, inputs: Any) -> Any:
        """Run the package."""
        return self._package(*inputs)

    def operators(self, step: Callable[[], object], inputs: Any) -> OperatorProfile:
        """Return the time by operator, from torch.profiler."""
        from bench.executors import torch_profiler

        return torch_profiler.profile(step, inputs)

    def settings(self) -> Mapping[str, str]:
        """Return what the package was compiled for, and the number of threads."""
        import torch

        target = self._package.get_metadata()
        return {
            "freezing": "on" if self._freezing else "off",
            **{shown: target[name] for name, shown in _TARGET.items() if target.get(name)},
            "threads": str(torch.get_num_threads()),
        }


def _prepare(module: "nn.Module", request: ExecutorRequest) -> PackagedProgram:
    import torch
    from torch._inductor import aoti_load_package, config

    program = export(module, request, NAME)
    with TemporaryDirectory(prefix="googlenet-bench-aot-") as folder, _temporary_files_in(folder):
        package = aoti_load_package(_compile(program, Path(folder, "network.pt2")))
        # The first run loads the kernels of a GPU from files.
        with torch.inference_mode():
            package(*request.example)
    return PackagedProgram(package, freezing=config.freezing)


def _compile(program: "ExportedProgram", path: Path) -> str:
    """Compile an exported program to a package, and return its path."""
    import torch
    from torch._inductor import aoti_compile_and_package

    try:
        with torch.no_grad():
            return str(aoti_compile_and_package(program, package_path=str(path)))
    except MemoryError:
        raise
    except Exception as error:
        raise RequestError(
            f"{NAME} cannot run this network, because AOTInductor fails with {one_line(error)}; "
            "choose compile or eager"
        ) from error


@contextmanager
def _temporary_files_in(folder: str) -> Iterator[None]:
    """Have PyTorch's loader extract packages to a folder.

    It deletes them itself only in a process that ends normally, which a forked worker does not.
    """
    before = os.environ.get("TMPDIR")
    os.environ["TMPDIR"] = folder
    try:
        yield
    finally:
        if before is None:
            del os.environ["TMPDIR"]
        else:
            os.environ["TMPDIR"] = before


_LINES = """\
from torch._inductor import aoti_compile_and_package, aoti_load_package

with torch.no_grad():
    package = aoti_compile_and_package(torch.export.export(model, example))
run = aoti_load_package(package)
"""


def _write(module: "nn.Module", request: ExecutorRequest, path: Path) -> None:
    _compile(export(module, request, NAME), path)


def _code(_request: ExecutorRequest) -> str:
    return "from torch._inductor import aoti_load_package\n\nrun = aoti_load_package(path)\n"


AOT = Executor(
    name=NAME,
    what="torch.export and AOTInductor: compiled ahead of time to a package, run without Python",
    prepare=_prepare,
    code=_LINES,
    file=FileFormat(
        what="an AOTInductor package, for processors like this machine's",
        suffix=".pt2",
        write=_write,
        code=_code,
    ),
    imports=PRELOAD,
    tasks=INFERENCE,
    limits="the package has only a forward pass; to train, use compile",
    compiles=True,
    fixes_threads=True,
)
