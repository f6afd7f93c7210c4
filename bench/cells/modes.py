"""Modes: how a network is executed, as tokens joined by ``+``.

A token is a rewrite (bench/rewrites) or an executor (bench/executors). Naming and checking a mode
imports no torch.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from types import MappingProxyType

from bench.executors import EXECUTORS
from bench.executors.executor import Executor
from bench.names import RequestError
from bench.registry import choose_registered
from bench.rewrites import REWRITES
from bench.rewrites.rewrite import Rewrite

DEFAULT = "eager"
"""The executor of a mode that names none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mode:
    """The rewrites and the executor of a mode."""

    rewrites: tuple[Rewrite, ...]
    """In the order in which they apply, whatever the order typed."""
    executor: Executor

    @property
    def name(self) -> str:
        """The canonical spelling: executor first, ``eager`` only if it is alone."""
        executor = () if self.executor.name == DEFAULT else (self.executor.name,)
        rewrites = reversed([rewrite.name for rewrite in self.rewrites])
        return "+".join([*executor, *rewrites]) or DEFAULT

    @property
    def tokens(self) -> tuple[Rewrite | Executor, ...]:
        """The rewrites, then the executor."""
        return (*self.rewrites, self.executor)

    @property
    def imports(self) -> tuple[str, ...]:
        """Modules besides torch that making a network ready imports, safe before a fork."""
        return tuple(dict.fromkeys(name for token in self.tokens for name in token.imports))

    @property
    def error_budget(self) -> float:
        """Relative L2 distance of outputs that the rewrites may add to what a dtype is allowed."""
        return sum(rewrite.error_budget for rewrite in self.rewrites)

    def is_replayed(self, device: str) -> bool:
        """Whether iterations on a device replay CUDA graphs."""
        return _kind(device) == "cuda" and self.executor.replays

    def without_executor(self) -> "Mode":
        """The mode with the same rewrites, in eager."""
        return Mode(rewrites=self.rewrites, executor=EXECUTORS[DEFAULT])


def tokens() -> Mapping[str, Rewrite | Executor]:
    """Return every token by its name: executors, the default one first, then rewrites.

    Raises ``RequestError`` if an executor and a rewrite have the same name.
    """
    if twice := sorted(EXECUTORS.keys() & REWRITES.keys()):
        raise RequestError(f"an executor and a rewrite are both called {twice[0]!r}: rename one")
    return MappingProxyType({DEFAULT: EXECUTORS[DEFAULT], **EXECUTORS, **REWRITES})


def kind(token: Rewrite | Executor) -> str:
    """Return what a token is: ``executor``, ``memory_format`` or ``rewrite``."""
    if isinstance(token, Executor):
        return "executor"
    return "memory_format" if token.is_memory_format else "rewrite"


def parse(mode: str) -> Mode:
    """Return what a mode stands for.

    Raises ``RequestError`` for an unknown or repeated token, two executors, two memory formats, or
    a memory format for an executor that chooses its own.
    """
    found = [choose_registered("mode token", name.strip(), tokens()) for name in mode.split("+")]
    executors = [token for token in found if isinstance(token, Executor)]
    rewrites = [token for token in found if isinstance(token, Rewrite)]
    formats = [rewrite for rewrite in rewrites if rewrite.is_memory_format]
    for what, same in (("executor", executors), ("memory format", formats)):
        if len(same) > 1:
            names = ", ".join(token.name for token in same)
            raise RequestError(
                f"mode {mode!r} has {len(same)} {what}s ({names}); at most one is allowed"
            )
    for executor, rewrite in product(executors, formats):
        if executor.has_own_layout:
            raise RequestError(
                f"mode {mode!r} has no effect: {executor.name} chooses memory formats itself; "
                f"leave out {rewrite.name}"
            )
    for rewrite in rewrites:
        if rewrites.count(rewrite) > 1:
            raise RequestError(f"mode {mode!r} has the rewrite {rewrite.name} twice")
    return Mode(
        rewrites=tuple(sorted(rewrites, key=order)),
        executor=executors[0] if executors else EXECUTORS[DEFAULT],
    )


def canonical(mode: str) -> str:
    """Return the canonical spelling of a mode: executor first, ``eager`` only if it is alone."""
    return parse(mode).name


def check(mode: str, device: str, tasks: Collection[str], dtypes: Collection[str] = ()) -> None:
    """Raise ``RequestError`` if a mode does not support a device, a task or a dtype."""
    parsed = parse(mode)
    for token in parsed.tokens:
        if _kind(device) not in token.devices:
            raise RequestError(
                f"mode token {token.name!r} does not run on {device}; "
                f"available there: {', '.join(available(device))}"
            )
        if unsupported := sorted(set(tasks) - token.tasks):
            raise RequestError(
                f"mode token {token.name!r} supports {', '.join(sorted(token.tasks))}, not "
                f"{', '.join(unsupported)}{token.limits and f': {token.limits}'}"
            )
    executor = parsed.executor
    runs_torch = executor.keeps_modules or executor.captures
    for rewrite in parsed.rewrites:
        if rewrite.needs_torch and not runs_torch:
            raise RequestError(
                f"mode token {rewrite.name!r} uses operators that only PyTorch runs, so it does "
                f"not work with {executor.name}: combine it with eager or compile"
            )
    if executor.dtypes is not None and (unsupported := sorted(set(dtypes) - executor.dtypes)):
        raise RequestError(
            f"executor {executor.name!r} supports {', '.join(sorted(executor.dtypes))}, not "
            f"{', '.join(unsupported)}{executor.limits and f': {executor.limits}'}"
        )


def available(device: str) -> tuple[str, ...]:
    """Return the names of the tokens that run on a device."""
    return tuple(name for name, token in tokens().items() if _kind(device) in token.devices)


def missing(mode: str) -> str:
    """Say what a mode needs that is not installed; empty if nothing is missing."""
    return "; ".join(_missing(parse(mode)))


def _missing(mode: Mode) -> Iterator[str]:
    for token in mode.tokens:
        if token.missing:
            yield token.missing


def order(rewrite: Rewrite) -> tuple[bool, bool, int, str]:
    """The key that rewrites are sorted by before they apply."""
    return rewrite.after_cast, rewrite.is_memory_format, rewrite.order, rewrite.name


def _kind(device: str) -> str:
    return device.partition(":")[0]
