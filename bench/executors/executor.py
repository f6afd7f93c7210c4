"""Declaration of an executor, and the program that it makes of a network."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bench import optional
from bench.capabilities import EVERY_DEVICE, EVERY_TASK
from bench.records.reported import OperatorProfile

if TYPE_CHECKING:
    from torch import nn

    from bench.archs.source import Inputs
    from bench.executors.file_format import FileFormat
    from bench.executors.request import ExecutorRequest


class Program:
    """A network that was made ready to run.

    A subclass that takes inputs or gives outputs in another form overrides ``load`` and ``unload``;
    neither is timed.
    """

    def load(self, example: "Inputs") -> Any:
        """Return a batch in the form that ``run`` takes."""
        return example

    def run(self, inputs: Any) -> Any:
        """Run the network once on what ``load`` returned. This is what is timed."""
        raise NotImplementedError

    def unload(self, output: Any) -> Any:
        """Return what ``run`` returned, with tensors wherever it has arrays."""
        return output

    def was_cached(self) -> bool | None:
        """Whether its code came from a cache on disk; None if it has none, or nothing was compiled.

        Asked after the first call.
        """
        return None

    def settings(self) -> Mapping[str, str]:
        """Versions and settings that explain its figures, read back from the library."""
        return {}

    def operators(self, step: Callable[[], object], inputs: Any) -> OperatorProfile | None:
        """Return the time by operator, from the library's own profiler; None if it has none.

        ``step`` runs an iteration of the cell, ``inputs`` are what ``load`` returned. It is called
        after everything was measured, and only if the request says ``is_profiled``.
        """
        del step, inputs
        return None


class ModuleProgram(Program):
    """A network that runs as an ``nn.Module``, and so can be trained."""

    def __init__(self, module: "nn.Module") -> None:
        self.module = module

    def run(self, inputs: Any) -> Any:
        """Run a forward pass."""
        return self.module(*inputs)

    def operators(self, step: Callable[[], object], inputs: Any) -> OperatorProfile:
        """Return the time by operator, from torch.profiler."""
        from bench.executors import torch_profiler

        return torch_profiler.profile(step, inputs)


@dataclass(frozen=True, slots=True, kw_only=True)
class Executor:
    """A way to execute a network."""

    name: str
    what: str
    """One line for ``googlenet-bench modes``."""
    prepare: "Callable[[nn.Module, ExecutorRequest], Program]"
    """Make a network ready. For training it must return a ``ModuleProgram``. For inference it may
    free the network's weights, if their shapes stay: nothing else will run the network."""
    code: str = ""
    """The lines of Python that a user writes to run a network this way, with their imports; empty
    if they are not known. They read ``torch``, ``model``, a network in ``eval()`` and in its dtype,
    and ``example``, the tuple of its inputs. They define ``run``, which takes such inputs, under
    ``torch.inference_mode()``. ``torch.get_num_threads()`` are the threads to use. If it
    ``converts``, ``model`` and ``example`` are in fp32, and ``dtype`` is what to compute in."""
    file: "FileFormat | None" = None
    """How ``googlenet-bench export`` writes a network for it; None if it cannot."""
    not_exported: str = ""
    """Why it has no file format, and what to do; added to the error."""
    requires: tuple[str, ...] = ()
    """Modules besides torch that it needs."""
    extra: str = ""
    """The extra of this package that installs them."""
    imports: tuple[str, ...] = ()
    """Modules besides torch that ``prepare`` imports and that are safe to import before a fork."""
    devices: frozenset[str] = EVERY_DEVICE
    tasks: frozenset[str] = EVERY_TASK
    limits: str = ""
    """Why it does not run every task or dtype, and what does; added to the error."""
    dtypes: frozenset[str] | None = None
    """Names of dtypes that it runs; None for every one that its device runs."""
    converts: bool = False
    """Whether it converts the network to the dtype itself, and so gets it and the inputs in
    fp32."""
    has_own_layout: bool = False
    """Whether it chooses the memory formats itself, so that a mode that names one is refused."""
    keeps_memory: bool = False
    """Whether it keeps working memory outside PyTorch between calls: it is measured at the first
    call, because later ones do not let the process grow."""
    options: frozenset[str] = frozenset()
    """Names of the options that it takes (bench/executors/option.py)."""
    compiles: bool = False
    """Whether making a network ready takes seconds, so that its workers should start first."""
    captures: bool = False
    """Whether Dynamo captures the network: graphs are counted, and TorchScript is refused."""
    has_disk_cache: bool = False
    """Whether a cache on disk keeps the code, so that a second worker should wait for the first."""
    is_exclusive: bool = False
    """Whether it tries kernels out, so that nothing else may use the machine meanwhile."""
    fixes_threads: bool = False
    """Whether the code depends on the number of threads at compilation."""
    replays: bool = False
    """Whether a CUDA graph is replayed in the end, which keeps its memory between calls."""
    keeps_modules: bool = False
    """Whether it runs the network's own modules one by one, so that stages can be timed."""
    calls: int = 1
    """Calls until the network runs as it will be timed: the last one's answer is checked."""

    @property
    def missing(self) -> str:
        """Sentence on what is not installed and how to install it; empty if nothing is missing."""
        return optional.missing(self.name, self.requires, self.extra)
