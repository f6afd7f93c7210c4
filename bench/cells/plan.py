"""The plan: which cells are measured, how often, and with what order of chance."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product

from bench.cells import archs, modes, waves
from bench.cells.cell import Cell
from bench.cells.dtypes import DTYPES
from bench.machine import driver
from bench.names import RequestError, choose

ALL_DEVICES = "cuda:all"
_KNOWN_DEVICES = f"cpu, cuda, cuda:N and {ALL_DEVICES}"
TASK_NAMES = {"infer": "forward in eval()", "train": "a step of SGD with auxiliary heads"}
IMAGE_SIZE = 224
L2 = {
    "cold": "batches in turn that a GPU's L2 cache cannot hold together, and the cache emptied "
    "before each iteration that is timed by itself; back-to-back blocks and windows of energy are "
    "not interrupted, and may find weights in it",
    "warm": "one batch again and again, and no cache emptied",
}
# A quiet machine shows 0.02, one with a competing process 0.6 and more.
FOREIGN_CPUS = 0.15
# A GPU's cell needs a core to launch from, and some for the driver and for PyTorch's own threads.
# Chosen, not measured, and so is what others may have of idle cores: a GPU was not at hand.
HOST_CORES, MOST_FOREIGN_CPUS = 4, 4.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is to be measured; everything chosen, nothing left to the machine."""

    cells: tuple[Cell, ...]
    sets: int
    """Of fresh workers, at the least."""
    rounds: int | None
    """Valid visits to every worker in a set; None for as many as starting it took time for."""
    precision: float
    """Sets are added until every ratio's half-width is this at the most; 0.02 is 2 %."""
    extra_s: float
    """No set is added for precision that would end later than this after the first began.

    Without ``budget_s``, and but in a gate, compiling with an empty cache is not counted.
    """
    budget_s: float | None
    """No round begins later than this after the first; None for no such bound."""
    seed: int
    """Of the order of visits, and of weights and images."""
    devices: tuple[str, ...] = ()
    """What ``cuda:all`` stands for; sets are dealt out to them in turn."""
    environment: str = "pinned"
    """The settings that workers start with, a name of bench/machine/environment.py."""
    foreign_cpus: float = FOREIGN_CPUS
    """A round in which others keep more CPUs busy than this is voided."""
    memory_bytes: int | None = None
    """What all live workers may hold together; None for what is free."""
    image_size: int = IMAGE_SIZE
    l2: str = "warm"
    """How iterations find a GPU's L2 cache: a name of ``L2``."""
    reference_arch: str = ""
    reference_mode: str = "eager"
    """Ratios are taken to this arch and mode; in a group without, to its first cell."""
    against_base: bool = False
    """Whether every cell is measured a second time, with other code or another interpreter."""
    versions: bool = False
    """Whether the archs are versions of one network, as head and base of a gate are."""
    ceiling: bool = False
    """Whether to measure first what the device does at the most in each dtype; never in a gate."""
    energy: bool = False
    """Whether to measure what a CUDA device takes for an image, once a set of ``sets``."""
    allow_shared: bool = False
    """Whether others may be on the CUDA device that were there when the run began."""
    fit: bool = False
    """Whether to look first for the largest batch of each arch, mode, dtype and task."""
    profile: str = ""
    command: str = ""
    """What to type to make such a run again."""

    @property
    def groups(self) -> Mapping[str, tuple[Cell, ...]]:
        """The cells that a reader compares, by what they have in common."""
        groups: dict[str, list[Cell]] = {}
        for cell in self.cells:
            groups.setdefault(cell.group, []).append(cell)
        return {name: tuple(cells) for name, cells in groups.items()}

    def device_of(self, set_index: int) -> str:
        """The device that measures a set: every cell of it, so that each ratio is one device's.

        Sets follow each other whatever their devices: two at once would share the host's cores,
        which are what a launch-bound cell waits for. So no device has two cells at work, and what
        tells one device from the next is in the intervals, which are over sets.
        """
        if not self.devices:
            return self.cells[0].device
        return self.devices[set_index % len(self.devices)]

    @property
    def fit_bytes(self) -> int | None:
        """What a batch may hold to fit, where that is not the device's to say."""
        return None if self.is_on_gpu else self.memory_bytes

    @property
    def is_on_gpu(self) -> bool:
        """Whether the cells are a CUDA device's."""
        return self.cells[0].device.startswith("cuda")

    def reference(self, group: str) -> Cell:
        """The cell of a group that ratios are taken to."""
        return self.references[group]

    @property
    def references(self) -> Mapping[str, Cell]:
        """The cell of each group that ratios are taken to."""
        arch, mode = self.reference_arch, self.reference_mode
        return {name: waves.reference(cells, arch, mode) for name, cells in self.groups.items()}

    @property
    def controls(self) -> tuple[Cell, ...]:
        """The reference of each group, a second time."""
        return tuple(map(waves.control, self.references.values()))

    @property
    def compares_versions(self) -> bool:
        """Whether what is compared are versions of one network."""
        return self.against_base or self.versions

    @property
    def bases(self) -> tuple[Cell, ...]:
        """What each cell is compared with, where that is another's code."""
        return tuple(map(waves.base, self.cells)) if self.against_base else ()

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
    for mode in spelled:
        modes.check(mode, device, task_names)
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


def device(given: str | None, *, several: bool = False) -> str:
    """The device that was asked for, or the one that is there: ``cuda``, else ``cpu``.

    ``several``: whether ``cuda:all`` may be asked for. Raises ``RequestError`` where no device has
    this name, or this machine has none of it.
    """
    if given is None:
        return "cuda" if driver.devices() else "cpu"
    if given == ALL_DEVICES:
        if not several:
            raise RequestError(f"--device {ALL_DEVICES} is the suite's; here one is measured on")
        check_same_model(driver.names())
        return given
    kind, _, index = given.partition(":")
    if kind not in {"cpu", "cuda"} or (
        ":" in given and not (kind == "cuda" and index.isascii() and index.isdecimal())
    ):
        raise RequestError(f"no device is called {given!r}; there are {_KNOWN_DEVICES}")
    if kind == "cuda" and int(index or 0) >= (there := driver.devices()):
        shown = "no device" if there == 0 else f"{there} of them, counted from 0,"
        raise RequestError(
            f"--device {given}: the NVIDIA driver shows {shown} on this machine; "
            "--device cpu needs none"
        )
    return given


def foreign_cpus(device: str, *, cores: int, allowed: int) -> float:
    """How many CPUs others may keep busy in a round that is not voided.

    ``cores`` are those that this process may keep busy, ``allowed`` those that it may run on: more,
    where it has a quota of their time, and the rest is for others.

    A network on a CPU uses every core that it may, and waits for the slowest. One on a GPU is
    launched from one. Of those that are left idle others may have half, so that each thread finds
    one of its own; where no quota shares them out a few at the most, a machine's own services.
    """
    idle = max(0, allowed - (cores if device == "cpu" else HOST_CORES))
    half = idle / 2 if cores < allowed else min(idle / 2, MOST_FOREIGN_CPUS)
    return max(FOREIGN_CPUS, half)


def l2(given: str | None, device: str) -> str:
    """How iterations are to find a GPU's L2 cache: as asked for, or else as served images do.

    Raises ``RequestError`` for a name nobody knows, and where the device is none whose cache is
    emptied.
    """
    if given is None:
        return "warm" if device == "cpu" else "cold"
    choose("state of the L2 cache", given, L2)
    if device == "cpu" and given == "cold":
        raise RequestError(
            "--l2 cold is about a GPU's cache; a CPU's are left to what the network itself, and "
            "the other workers, make of them"
        )
    return given


def devices(given: str) -> tuple[str, ...]:
    """What a device's name stands for, where that is several."""
    return (
        tuple(f"cuda:{index}" for index in range(driver.devices())) if given == ALL_DEVICES else ()
    )


def check_same_model(names: Sequence[str]) -> None:
    """Refuse devices that sets cannot be dealt out to: none, or not all of one model."""
    if not names:
        raise RequestError(
            f"--device {ALL_DEVICES}: the NVIDIA driver shows no device on this machine; "
            "--device cpu needs none"
        )
    if len(set(names)) > 1:
        told = ", ".join(f"cuda:{index} is {name}" for index, name in enumerate(names))
        raise RequestError(
            f"--device {ALL_DEVICES} needs devices of one model, or a figure would be of none: "
            f"{told}; name one, or hide the others with CUDA_VISIBLE_DEVICES"
        )


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
