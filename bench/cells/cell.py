"""The cell: one thing that is measured, and its id."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """An arch in a mode, a dtype, a batch size and a task on a device; all names are canonical."""

    arch: str
    mode: str
    dtype: str
    batch_size: int
    task: str
    device: str
    control: bool = False
    """Whether it is the reference measured a second time, to see what the run makes of no change.
    """
    base: bool = False
    """Whether it is measured with the code, or the interpreter, that a gate compares ours with."""

    @property
    def id(self) -> str:
        """For example ``googlenet/compile+channels_last/fp32/b1/infer/cpu``."""
        role = f"{'/control' if self.control else ''}{'/base' if self.base else ''}"
        return f"{self.arch}/{self.mode}/{self.group}{role}"

    @property
    def group(self) -> str:
        """What cells that are compared have in common, for example ``fp32/b1/infer/cpu``."""
        return f"{self.dtype}/b{self.batch_size}/{self.task}/{self.device}"
