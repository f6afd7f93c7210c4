"""The plan: which cells are measured, how often, and with what order of chance."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

from bench import archs, modes
from bench.cell import Cell
from bench.dtypes import DTYPES
from bench.names import RequestError, choose

TASK_NAMES = {"infer": "forward in eval()", "train": "a step of SGD with auxiliary heads"}
IMAGE_SIZE = 224


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is to be measured; everything chosen, nothing left to the machine."""

    cells: tuple[Cell, ...]
    sets: int
    rounds: int
    """Visits to every worker in a set."""
    budget_s: float | None
    """No round begins later than this after the first; None for no such bound."""
    seed: int
    """Of the order of visits, and of weights and images."""
    image_size: int = IMAGE_SIZE

    @property
    def waves(self) -> tuple[tuple[Cell, ...], ...]:
        """Cells that are alive together: those that a reader compares."""
        groups: dict[str, list[Cell]] = {}
        for cell in self.cells:
            groups.setdefault(cell.group, []).append(cell)
        return tuple(map(tuple, groups.values()))

    @property
    def imports(self) -> tuple[str, ...]:
        """Libraries besides torch that the workers will import, each once."""
        wanted = [archs.find(cell.arch).imports for cell in self.cells]
        wanted += [token.imports for cell in self.cells for token in modes.parse(cell.mode)]
        return tuple(dict.fromkeys(name for names in wanted for name in names))


def cells(
    *,
    arch_names: Sequence[str],
    mode_names: Sequence[str],
    dtype_names: Sequence[str],
    batch_sizes: Sequence[int],
    task_names: Sequence[str],
    device: str,
) -> tuple[Cell, ...]:
    """Every combination, with canonical names, each once.

    Raises ``RequestError`` in a sentence for a name nobody knows and for what a device cannot do.
    """
    for name in arch_names:
        archs.find(name)
    for name in task_names:
        choose("task", name, TASK_NAMES)
    for name in dtype_names:
        _check_dtype(name, device, task_names)
    for batch_size in batch_sizes:
        if batch_size < 1:
            raise RequestError(f"a batch holds at least one image, not {batch_size}")
    spelled = [modes.canonical(name) for name in mode_names]
    combinations = product(dtype_names, batch_sizes, task_names, arch_names, spelled)
    found = tuple(
        dict.fromkeys(
            Cell(arch=arch, mode=mode, dtype=dtype, batch_size=batch, task=task, device=device)
            for dtype, batch, task, arch, mode in combinations
        )
    )
    if not found:
        raise RequestError("nothing to measure: each of the lists of names needs one at least")
    return found


def _check_dtype(name: str, device: str, task_names: Sequence[str]) -> None:
    dtype = choose("dtype", name, DTYPES)
    kind = device.partition(":")[0]
    if kind not in dtype.devices:
        can = ", ".join(other.name for other in DTYPES.values() if kind in other.devices)
        raise RequestError(f"dtype {name!r} does not run on {device}; there: {can}")
    if name == "fp16" and "train" in task_names:
        raise RequestError(
            "fp16 trains only with loss scaling, which is not measured here; train in bf16"
        )
