"""The plan: which cells are measured, how often, and with which random seed."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from bench import archs
from bench.archs.source import Accuracy, Shape
from bench.cells import modes, waves
from bench.cells.cell import Cell
from bench.cells.plan_values import FOREIGN_CPUS

FRONT = ("latency",)  # what reports set against accuracy


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Everything that determines a run; nothing is left to the machine."""

    cells: tuple[Cell, ...]
    sets: int
    """Minimum number of sets of fresh workers."""
    rounds: int | None
    """Valid rounds per set; None for as many as fit into the time that starting the set took."""
    precision: float
    """Target half-width of every ratio: sets are added until it is at most this; 0.02 is 2 %."""
    extra_s: float
    """Sets are added for precision only if they end within this time after the first set began.

    Compiling with an empty cache is not counted, except with ``budget_s`` or in a gate.
    """
    budget_s: float | None
    """No round begins later than this after the first; None for no limit."""
    seed: int
    """Seed for the order of visits, the weights and the images."""
    devices: tuple[str, ...] = ()
    """The devices of ``cuda:all``, which measure the sets in turn; empty for a single device."""
    environment: str = "pinned"
    """Name of the settings that workers start with (bench/machine/pinned.py)."""
    foreign_cpus: float = FOREIGN_CPUS
    """Largest number of CPUs that others may keep busy; a round above it is voided."""
    default_foreign_cpus: float | None = None
    """The largest number on this machine unless the user chooses another; None in earlier runs."""
    memory_bytes: int | None = None
    """Memory limit of all live workers together; None for all free memory."""
    image_size: int | None = None
    """Height and width of the images in pixels; None for what each network is made for."""
    input_shape: Shape | None = None
    """Channels, height and width of the images of networks that do not say what they take."""
    l2: str = "warm"
    """State of a GPU's L2 cache before an iteration: a name in ``plan_values.L2``."""
    reference_arch: str = ""
    reference_mode: str = "eager"
    """Ratios are relative to this arch and mode, or to the first cell of a group without them."""
    against_base: bool = False
    """Whether every cell is also measured with the base's code or interpreter."""
    versions: bool = False
    """Whether the archs are versions of one network, like head and base of a gate."""
    ceiling: bool = False
    """Whether to measure the device's peak rate in each dtype first; never in a gate."""
    energy: bool = False
    """Whether to measure a CUDA device's energy per image, once in each of ``sets`` sets."""
    operators: bool = False
    """Whether to profile the operators of each cell, at the end of the first set."""
    allow_shared: bool = False
    """Whether processes that were on the CUDA device before the run may stay on it."""
    fit: bool = False
    """Whether to find the largest batch of each arch, mode, dtype and task first."""
    front: tuple[str, ...] = FRONT
    """Names of what reports set against accuracy: axes of metrics (bench/metrics/metric.py)."""
    accuracies: Mapping[str, Accuracy] = field(default_factory=dict)
    """The user's own accuracies of the archs, which replace the published ones."""
    profile: str = ""
    command: str = ""
    """Command that repeats the run."""

    def profiles(self, set_index: int) -> bool:
        """Return whether operators are profiled in a set."""
        return self.operators and set_index == 0

    @property
    def groups(self) -> Mapping[str, tuple[Cell, ...]]:
        """The cells that are compared with each other, by group name."""
        groups: dict[str, list[Cell]] = {}
        for cell in self.cells:
            groups.setdefault(cell.group, []).append(cell)
        return {name: tuple(cells) for name, cells in groups.items()}

    def device_of(self, set_index: int) -> str:
        """Return the device that measures all cells of a set, so that each ratio is of one device.

        Sets run one after the other, also on different devices: two at once would share the host's
        cores, which limit a launch-bound cell. So no two cells run at the same time, and
        differences between devices are part of the intervals, which are over sets.
        """
        if not self.devices:
            return self.cells[0].device
        return self.devices[set_index % len(self.devices)]

    @property
    def fit_bytes(self) -> int | None:
        """Memory limit for finding the largest batch; None on a GPU, whose memory is the limit."""
        return None if self.is_on_gpu else self.memory_bytes

    @property
    def is_on_gpu(self) -> bool:
        """Whether the cells run on a CUDA device."""
        return self.cells[0].device.startswith("cuda")

    def reference(self, group: str) -> Cell:
        """Return the reference cell of a group, which ratios are relative to."""
        return self.references[group]

    @property
    def references(self) -> Mapping[str, Cell]:
        """The reference cell of each group, by group name."""
        arch, mode = self.reference_arch, self.reference_mode
        return {name: waves.reference(cells, arch, mode) for name, cells in self.groups.items()}

    @property
    def controls(self) -> tuple[Cell, ...]:
        """The control of each group: a second copy of its reference."""
        return tuple(map(waves.control, self.references.values()))

    @property
    def compares_versions(self) -> bool:
        """Whether the cells compare versions of one network."""
        return self.against_base or self.versions

    @property
    def bases(self) -> tuple[Cell, ...]:
        """The base's copy of each cell; empty without a base."""
        return tuple(map(waves.base, self.cells)) if self.against_base else ()

    @property
    def libraries(self) -> tuple[str, ...]:
        """The libraries besides torchvision that the archs come from, without duplicates."""
        names = [name for cell in self.cells for name in archs.find(cell.arch).requires]
        return tuple(name for name in dict.fromkeys(names) if name != "torchvision")

    @property
    def imports(self) -> tuple[str, ...]:
        """Libraries besides torch that the workers will import, without duplicates."""
        imports = [archs.find(cell.arch).imports for cell in self.cells]
        imports += [modes.parse(cell.mode).imports for cell in self.cells]
        return tuple(dict.fromkeys(name for names in imports for name in names))
