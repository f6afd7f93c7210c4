"""Values of a plan, from the names in a request and from this machine."""

from collections.abc import Sequence
from itertools import product

from bench import archs
from bench.cells import modes
from bench.cells.cell import Cell
from bench.cells.dtypes import DTYPES
from bench.errors import RequestError
from bench.machine import driver
from bench.names import choose

ALL_DEVICES = "cuda:all"
_KNOWN_DEVICES = f"cpu, cuda, cuda:N and {ALL_DEVICES}"
TASK_NAMES = {"infer": "forward in eval()", "train": "a step of SGD with auxiliary heads"}
L2 = {
    "cold": "iterations rotate more batches than a GPU's L2 cache can hold, and the cache is "
    "emptied before each iteration that is timed on its own; back-to-back blocks and energy "
    "windows are not interrupted, so they may find weights in it",
    "warm": "iterations repeat one batch, and the cache is not emptied",
}
# A quiet machine shows 0.02; one with a competing process shows 0.6 or more.
FOREIGN_CPUS = 0.15
# A cell on a GPU needs a core to launch kernels, and some for the driver and PyTorch's own threads.
# Both values, and the share of idle cores that others may use, are chosen, not measured: no GPU was
# available.
HOST_CORES, MOST_FOREIGN_CPUS = 4, 4.0


def cells(
    *,
    arch_names: Sequence[str],
    mode_names: Sequence[str],
    dtype_names: Sequence[str],
    batch_sizes: Sequence[int],
    task_names: Sequence[str],
    device: str,
) -> tuple[Cell, ...]:
    """Return every combination as a cell with canonical names, without duplicates.

    Patterns of archs, such as ``torchvision:resnet*``, stand for all that match. Raises
    ``RequestError`` for an unknown name, or if the device does not support a combination.
    """
    arch_names = archs.expand(arch_names)
    for name in arch_names:
        archs.find(name).check()
    for name in task_names:
        choose("task", name, TASK_NAMES)
    for name in dtype_names:
        _check_dtype(name, device, task_names)
    for batch_size in batch_sizes:
        if batch_size < 1:
            raise RequestError(f"a batch holds at least one image, not {batch_size}")
    canonical_modes = [modes.canonical(name) for name in mode_names]
    for mode in canonical_modes:
        modes.check(mode, device, task_names, dtype_names)
    combinations = product(dtype_names, batch_sizes, task_names, arch_names, canonical_modes)
    found_cells = tuple(
        dict.fromkeys(
            Cell(arch=arch, mode=mode, dtype=dtype, batch_size=batch, task=task, device=device)
            for dtype, batch, task, arch, mode in combinations
        )
    )
    if not found_cells:
        raise RequestError("nothing to measure: each list of names needs at least one entry")
    return found_cells


def missing(cell: Cell) -> str:
    """Say what a cell needs that is not installed; empty if nothing is missing."""
    sentences = (archs.find(cell.arch).missing, modes.missing(cell.mode))
    return "; ".join(filter(None, sentences))


def device(name: str | None, *, several: bool = False) -> str:
    """Return the device called ``name``; by default ``cuda`` if there is one, else ``cpu``.

    ``several``: whether ``cuda:all`` is allowed. Raises ``RequestError`` if the name is unknown, or
    if this machine has no such device.
    """
    if name is None:
        return "cuda" if driver.devices() else "cpu"
    if name == ALL_DEVICES:
        if not several:
            raise RequestError(
                f"--device {ALL_DEVICES} is not supported here: this command measures on one device"
            )
        check_same_model(driver.names())
        return name
    kind, index = _parsed_device(name)
    if kind == "cuda" and int(index or 0) >= (count := driver.devices()):
        shown = "no device" if count == 0 else f"{count} devices, numbered from 0,"
        raise RequestError(
            f"--device {name}: the NVIDIA driver shows {shown} on this machine; "
            "--device cpu needs none"
        )
    return name


def device_elsewhere(name: str | None) -> str:
    """Return the device called ``name`` on the nodes of a cluster, by default ``cpu``.

    Raises ``RequestError`` if the name is unknown; whether a node has the device shows there.
    """
    if name is None:
        return "cpu"
    if name == ALL_DEVICES:
        raise RequestError(
            f"--device {ALL_DEVICES} is for the devices of one machine; on a cluster, sets take "
            "turns on the nodes: use --device cuda"
        )
    _parsed_device(name)
    return name


def _parsed_device(name: str) -> tuple[str, str]:
    """Return the kind of a device and its number, which may be empty."""
    kind, _, index = name.partition(":")
    if kind not in {"cpu", "cuda"} or (
        ":" in name and not (kind == "cuda" and index.isascii() and index.isdecimal())
    ):
        raise RequestError(f"no device is called {name!r}; known: {_KNOWN_DEVICES}")
    return kind, index


def foreign_cpus(device: str, *, cores: int, allowed: int) -> float:
    """Return how many CPUs other processes may keep busy before a round is voided.

    ``cores``: how many cores this process may keep busy. ``allowed``: how many it may run on. With
    a CPU quota there are more of these, and the rest is for others.

    A network on a CPU uses all its cores, and waits for the slowest. One on a GPU is launched from
    one core. Others may use half of the idle cores, so that each thread finds a core of its own.
    Without a quota they may use at most ``MOST_FOREIGN_CPUS``, enough for the system's services.
    """
    idle = max(0, allowed - (cores if device == "cpu" else HOST_CORES))
    limit = idle / 2 if cores < allowed else min(idle / 2, MOST_FOREIGN_CPUS)
    return max(FOREIGN_CPUS, limit)


def l2(state: str | None, device: str) -> str:
    """Return the state of a GPU's L2 cache: by default ``cold``, as when images are served.

    On a CPU the default is ``warm``. Raises ``RequestError`` for an unknown name, and for ``cold``
    on a CPU, whose caches are not emptied.
    """
    if state is None:
        return "warm" if device == "cpu" else "cold"
    choose("state of the L2 cache", state, L2)
    if device == "cpu" and state == "cold":
        raise RequestError(
            "--l2 cold is about a GPU's cache; the caches of a CPU are not controlled: their "
            "content depends on the network and on the other workers"
        )
    return state


def devices(name: str) -> tuple[str, ...]:
    """Return the devices of ``cuda:all``; empty for any other name."""
    return (
        tuple(f"cuda:{index}" for index in range(driver.devices())) if name == ALL_DEVICES else ()
    )


def check_same_model(names: Sequence[str]) -> None:
    """Raise ``RequestError`` if there is no device, or if the devices are of different models."""
    if not names:
        raise RequestError(
            f"--device {ALL_DEVICES}: the NVIDIA driver shows no device on this machine; "
            "--device cpu needs none"
        )
    if len(set(names)) > 1:
        models = ", ".join(f"cuda:{index} is {name}" for index, name in enumerate(names))
        raise RequestError(
            f"--device {ALL_DEVICES} needs devices of one model, because figures of different "
            f"models cannot be combined: {models}; name one device, or hide the others with "
            "CUDA_VISIBLE_DEVICES"
        )


def _check_dtype(name: str, device: str, task_names: Sequence[str]) -> None:
    dtype = choose("dtype", name, DTYPES)
    kind = device.partition(":")[0]
    if kind not in dtype.devices:
        supported = ", ".join(other.name for other in DTYPES.values() if kind in other.devices)
        raise RequestError(f"dtype {name!r} does not run on {device}; available there: {supported}")
    if name == "fp16" and "train" in task_names:
        raise RequestError(
            "fp16 trains only with loss scaling, which is not measured here; train in bf16"
        )
