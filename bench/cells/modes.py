"""Modes: how a network is executed, as tokens joined by ``+``.

A token is a rewrite (bench/rewrites), or an executor or an option of one (bench/executors). Naming
and checking a mode imports no torch.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from bench.errors import RequestError
from bench.executors import EXECUTORS, OPTIONS
from bench.executors.executor import Executor
from bench.executors.option import Option
from bench.registry import choose_registered
from bench.rewrites import REWRITES
from bench.rewrites.rewrite import Rewrite

DEFAULT = "eager"
"""The executor of a mode that names none."""
Token = Executor | Option | Rewrite


@dataclass(frozen=True, slots=True, kw_only=True)
class Mode:
    """The rewrites, the executor and its options of a mode."""

    rewrites: tuple[Rewrite, ...]
    """In the order in which they apply, whatever the order typed."""
    executor: Executor
    options: tuple[Option, ...] = ()
    """Options that the executor takes, in the order of their names."""

    @property
    def name(self) -> str:
        """The canonical spelling: executor first, then its options; ``eager`` only if alone."""
        executor = () if self.executor.name == DEFAULT else (self.executor.name,)
        options = [option.name for option in self.options]
        rewrites = reversed([rewrite.name for rewrite in self.rewrites])
        return "+".join([*executor, *options, *rewrites]) or DEFAULT

    @property
    def tokens(self) -> tuple[Token, ...]:
        """The rewrites, the executor, then its options."""
        return (*self.steps, *self.options)

    @property
    def steps(self) -> tuple[Rewrite | Executor, ...]:
        """What is done to a network, in this order: the rewrites, then the executor."""
        return (*self.rewrites, self.executor)

    @property
    def imports(self) -> tuple[str, ...]:
        """Modules besides torch that making a network ready imports, safe before a fork."""
        return tuple(dict.fromkeys(name for step in self.steps for name in step.imports))

    @property
    def error_budget(self) -> float:
        """Relative L2 distance of outputs that the rewrites may add to what a dtype is allowed."""
        return sum(rewrite.error_budget for rewrite in self.rewrites)

    @property
    def fixes_threads(self) -> bool:
        """Whether making a network ready depends on the number of threads that will run it."""
        return any(step.fixes_threads for step in self.steps)

    def is_replayed(self, device: str) -> bool:
        """Whether iterations on a device replay CUDA graphs."""
        return _kind(device) == "cuda" and self.executor.replays

    def without_executor(self) -> "Mode":
        """The mode with the same rewrites, in eager."""
        return Mode(rewrites=self.rewrites, executor=EXECUTORS[DEFAULT])


def tokens() -> Mapping[str, Token]:
    """Return every token by its name: executors, the default one first, then options, rewrites.

    Raises ``RequestError`` if two tokens of different kinds have the same name.
    """
    found: dict[str, Token] = {DEFAULT: EXECUTORS[DEFAULT]}
    every: tuple[Token, ...] = (*EXECUTORS.values(), *OPTIONS.values(), *REWRITES.values())
    for token in every:
        if (other := found.setdefault(token.name, token)) is not token:
            raise RequestError(
                f"{_a(kind(other))} and {_a(kind(token))} are both called {token.name!r}: "
                "rename one"
            )
    return MappingProxyType(found)


def kind(token: Token) -> str:
    """Return what a token is: ``executor``, ``option``, ``memory_format`` or ``rewrite``."""
    if isinstance(token, Executor):
        return "executor"
    if isinstance(token, Option):
        return "option"
    return "memory_format" if token.is_memory_format else "rewrite"


def parse(mode: str) -> Mode:
    """Return what a mode stands for.

    Raises ``RequestError`` for an unknown or repeated token, two executors, two memory formats, an
    option that the executor does not take, or a memory format for one that chooses its own.
    """
    found = [choose_registered("mode token", name.strip(), tokens()) for name in mode.split("+")]
    executors = [token for token in found if isinstance(token, Executor)]
    options = [token for token in found if isinstance(token, Option)]
    rewrites = [token for token in found if isinstance(token, Rewrite)]
    formats = [rewrite for rewrite in rewrites if rewrite.is_memory_format]
    for what, same in (("executor", executors), ("memory format", formats)):
        if len(same) > 1:
            names = ", ".join(token.name for token in same)
            raise RequestError(
                f"mode {mode!r} has {len(same)} {what}s ({names}); at most one is allowed"
            )
    executor = executors[0] if executors else EXECUTORS[DEFAULT]
    if executor.has_own_layout and formats:
        raise RequestError(
            f"mode {mode!r} has no effect: {executor.name} chooses memory formats itself; "
            f"leave out {formats[0].name}"
        )
    for token in found:
        if not isinstance(token, Executor) and found.count(token) > 1:
            raise RequestError(f"mode {mode!r} has the {kind(token)} {token.name} twice")
    for option in options:
        _check_option(mode, executor, option)
    return Mode(
        rewrites=tuple(sorted(rewrites, key=order)),
        executor=executor,
        options=tuple(sorted(options, key=lambda option: option.name)),
    )


def _check_option(mode: str, executor: Executor, option: Option) -> None:
    if option.name not in executor.options:
        takers = [other.name for other in EXECUTORS.values() if option.name in other.options]
        raise RequestError(
            f"mode {mode!r} has the option {option.name}, which the executor {executor.name} does "
            f"not take; executors that take it: {', '.join(takers)}"
        )


def canonical(mode: str) -> str:
    """Return the canonical spelling of a mode (``Mode.name``)."""
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
    for rewrite in parsed.rewrites:
        if rewrite.needs_torch and not _runs_in_torch(executor):
            names = [name for name in available(device) if _runs_in_torch(EXECUTORS.get(name))]
            raise RequestError(
                f"mode token {rewrite.name!r} uses operators that {executor.name} does not run: "
                f"combine it with {', '.join(names)}"
            )
    if executor.dtypes is not None and (unsupported := sorted(set(dtypes) - executor.dtypes)):
        raise RequestError(
            f"executor {executor.name!r} supports {', '.join(sorted(executor.dtypes))}, not "
            f"{', '.join(unsupported)}{executor.limits and f': {executor.limits}'}"
        )


def _runs_in_torch(executor: Executor | None) -> bool:
    return executor is not None and (executor.keeps_modules or executor.captures)


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


def _a(kind_of_token: str) -> str:
    article = "an" if kind_of_token[0] in "aeiou" else "a"
    return f"{article} {kind_of_token.replace('_', ' ')}"


def _kind(device: str) -> str:
    return device.partition(":")[0]
