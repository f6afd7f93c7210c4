"""Declaration of an option: a setting that some executors take, as a token of a mode."""

from dataclasses import dataclass

from bench import optional
from bench.capabilities import EVERY_DEVICE, EVERY_TASK


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """A setting of executors. An executor that takes it names it in ``Executor.options``."""

    name: str
    what: str
    """One line for ``googlenet-bench modes``."""
    code: str = ""
    """The lines of Python that a user writes before those of the executor; empty if they are not
    known."""
    requires: tuple[str, ...] = ()
    """Modules besides torch that it needs."""
    extra: str = ""
    """The extra of this package that installs them."""
    devices: frozenset[str] = EVERY_DEVICE
    tasks: frozenset[str] = EVERY_TASK
    limits: str = ""
    """Why it does not fit every task; added to the error."""

    @property
    def missing(self) -> str:
        """Sentence on what is not installed and how to install it; empty if nothing is missing."""
        return optional.missing(self.name, self.requires, self.extra)
