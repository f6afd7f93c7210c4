"""The cell: one configuration that is measured, and its id."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """An arch, mode, dtype, batch size and task on a device; all names are canonical."""

    arch: str
    mode: str
    dtype: str
    batch_size: int
    task: str
    device: str
    control: bool = False
    """Whether it is the control: the reference's second copy, whose ratio to it should be 1."""
    base: bool = False
    """Whether it is measured with the code or interpreter of a gate's base."""
    across_dtypes: bool = False
    """Whether it is compared with cells of other dtypes, so that its group is of no dtype."""

    @property
    def id(self) -> str:
        """The id, for example ``googlenet/compile+channels_last/fp32/b1/infer/cpu``."""
        role = f"{'/control' if self.control else ''}{'/base' if self.base else ''}"
        return f"{self.arch}/{self.mode}/{self.dtype}/{self._conditions}{role}"

    @property
    def group(self) -> str:
        """What compared cells have in common, for example ``fp32/b1/infer/cpu``."""
        return self._conditions if self.across_dtypes else f"{self.dtype}/{self._conditions}"

    @property
    def label(self) -> str:
        """The mode, with the dtype if the group has several: ``compile`` or ``compile (bf16)``."""
        return f"{self.mode} ({self.dtype})" if self.across_dtypes else self.mode

    @property
    def name(self) -> str:
        """Its name within its group, for sentences: ``googlenet in compile``."""
        return f"{self.arch} in {self.label}"

    @property
    def _conditions(self) -> str:
        return f"b{self.batch_size}/{self.task}/{self.device}"


def arch_of(cell_id: str) -> str:
    """Return the arch in the id of a cell that is neither a control nor a base."""
    return cell_id.rsplit("/", 5)[0]  # a file's name has slashes of its own
