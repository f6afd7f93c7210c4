"""Examination of this machine: reads its state and turns each reading into a finding."""

import os
import platform
import shutil
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import psutil

from bench.cells import plan_values
from bench.cells.cell import Cell
from bench.doctor import card, host
from bench.doctor.finding import Finding, Severity
from bench.errors import RequestError
from bench.launch import timeouts
from bench.launch.launchers import Launcher, launcher
from bench.launch.process import WorkerError
from bench.machine import busiest, cgroup, cores, driver, pinned, resident, run_cards
from bench.machine.cache_folder import users_cache_folder
from bench.machine.load import SystemMeter, foreign_cpus
from bench.machine.memory_budget import free_host_bytes
from bench.machine.system_files import text
from bench.units import counted
from bench.worker.protocol import Describe, TryBatch

# Rounds are judged in stretches of a second (bench/engine/local/wave.py); a burst may miss one.
WINDOWS, WINDOW_S = 3, 1.0
TRIAL = Cell(arch="googlenet", mode="eager", dtype="fp32", batch_size=1, task="infer", device="cpu")
TRIAL_SIZE = 64  # pixels
_INSTALL = "install torch and torchvision together: pip install 'googlenet-bench[measure]'"


def examine(device: str, sleep: Callable[[float], None] = time.sleep) -> tuple[Finding, ...]:
    """Return every finding about measuring on ``device``. This takes some seconds."""
    devices = plan_values.devices(device) or (device,)
    before = psutil.cpu_times()
    of_workers = workers(devices)  # their load shows whether CPU time is stolen
    findings = (
        *of_workers,
        host.stolen(stolen_share(before, psutil.cpu_times())),
        *compilers(on_gpu=device != "cpu"),
        cache(),
        load(device, sleep),
        host.peak(can_be_reset=resident.reset_peak()) if device == "cpu" else None,
        *host_findings(on_gpu=device != "cpu"),
        *(finding for name in devices if name != "cpu" for finding in card_findings(name)),
    )
    return tuple(finding for finding in findings if finding is not None)


def workers(devices: tuple[str, ...]) -> Iterator[Finding]:
    """Yield a finding for each device: a worker is started as in a run and runs a network."""
    variables = pinned.for_workers(os.environ)
    try:
        with launcher(variables, ["torchvision"], cores.cpus_for_workers()) as ready:
            for device in devices:
                yield worker(ready, device)
    except WorkerError as error:
        yield _no_worker("worker", error)


def worker(ready: Launcher, device: str) -> Finding:
    """Return the finding about one worker; raise ``WorkerError`` if none can be started at all."""
    what = f"worker on {device}"
    process = ready.launch()
    try:
        about = process.request(Describe(device=device), limit_s=timeouts.PREPARE_S)
        trial = TryBatch(cell=replace(TRIAL, device=device), image_size=TRIAL_SIZE, seed=0)
        process.request(trial, limit_s=timeouts.PREPARE_S)
    except WorkerError as error:
        return _no_worker(what, error)
    finally:
        process.kill()
    return Finding(
        what=what,
        found=f"runs {TRIAL.arch}; PyTorch {about.torch}, torchvision {about.torchvision}, "
        f"Python {about.python}, {about.device_name}, "
        f"{counted(about.threads or 0, 'thread')}",
    )


def _no_worker(what: str, error: WorkerError) -> Finding:
    last_line = next(reversed(error.stderr.strip().splitlines()), "")
    return Finding(
        what=what,
        found=" ".join(filter(None, (str(error), last_line))),
        state=Severity.PREVENTS,
        advice=_INSTALL if error.kind in {"start", "died"} else "see the reason under 'found'",
    )


def stolen_share(before: object, after: object) -> float | None:
    """Return the stolen share of all non-idle time between two readings of CPU times.

    Returns None if the system does not report stolen time.
    """
    if not hasattr(before, "steal") or not hasattr(after, "steal"):
        return None
    busy_s: dict[str, float] = {
        name: getattr(after, name) - getattr(before, name)
        for name in ("user", "nice", "system", "irq", "softirq", "steal")
    }
    return busy_s["steal"] / max(sum(busy_s.values()), 1e-9)


def compilers(*, on_gpu: bool) -> Iterator[Finding]:
    """Yield findings about the needs of torch.compile: Inductor's compiler, Triton's, headers."""
    yield _compiler("CXX", ("clang++" if sys.platform == "darwin" else "g++",))
    if on_gpu:
        yield _compiler("CC", ("gcc", "clang"))
    path = Path(sysconfig.get_paths()["include"]) / "Python.h"
    yield host.headers(str(path), are_there=path.is_file())


def _compiler(variable: str, defaults: tuple[str, ...]) -> Finding:
    """Return the finding about the compiler named by an environment variable, or a default one."""
    names = tuple(os.environ.get(variable, "").split()[:1]) or defaults
    path = next(filter(None, map(shutil.which, names)), None)
    return host.compiler(path, names[0], variable)


def cache() -> Finding:
    """Return the finding about the folder for compiled code; create the folder if it is missing."""
    folder = pinned.for_workers(os.environ)["TORCHINDUCTOR_CACHE_DIR"]
    is_chosen = "TORCHINDUCTOR_CACHE_DIR" in os.environ
    is_users = is_chosen or users_cache_folder(os.environ) is not None
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(bytes(2**20))
            file.flush()
    except OSError as error:
        return host.cache(folder, error.strerror or str(error), is_users=is_users)
    return host.cache(folder, None, is_users=is_users)


def load(device: str, sleep: Callable[[float], None]) -> Finding:
    """Return the finding about other processes' CPU use in seconds in which this one is idle."""
    meter, own = SystemMeter(), [os.getpid()]
    began = busiest.read(own)
    readings = [meter.read(own)]
    for _ in range(WINDOWS):
        sleep(WINDOW_S)
        readings.append(meter.read(own))
    limit = plan_values.foreign_cpus(
        device, cores=cores.physical_cores(), allowed=cores.allowed_cores()
    )
    loads = [foreign_cpus(before, after) for before, after in pairwise(readings)]
    return host.load(loads, limit, busiest.between(began, busiest.read(own)))


def host_findings(*, on_gpu: bool, root: Path = Path("/")) -> Iterator[Finding | None]:
    """Yield findings from system files below ``root``; cells on a GPU need less of the host."""
    threads = pinned.for_workers(os.environ)["OMP_NUM_THREADS"]
    needed = plan_values.HOST_CORES if on_gpu or not threads.isdecimal() else int(threads)
    yield host.quota(cgroup.quota_cpus(root), needed, on_gpu=on_gpu)
    governors = (root / "sys/devices/system/cpu").glob("cpu[0-9]*/cpufreq/scaling_governor")
    yield host.governors(list(filter(None, map(text, governors))))
    if not on_gpu:
        enabled = text(root / "sys/kernel/mm/transparent_hugepage/enabled")
        yield host.huge_pages(enabled, platform.libc_ver())
        if (root / "dev/nvidiactl").exists() and not driver.devices():
            yield host.unused_card()
    ran_ns = (text(root / "proc/self/schedstat") or "").partition(" ")[0]
    yield host.accounts(ran_ns.isdecimal() and int(ran_ns) > 0)
    yield host.memory(free_host_bytes())


def card_findings(device: str) -> Iterator[Finding]:
    """Yield findings about a CUDA device, from the driver and NVML."""
    try:
        result = run_cards.find([device], allow_shared=True)
    except RequestError as error:
        yield card.refused(device, str(error))
        return
    if why := result.unknown.get(device):
        yield card.unknown(device, why)
        return
    known = result.known[device]
    names = driver.names()
    index = int(device.partition(":")[2] or 0)
    name = names[index] if index < len(names) else None
    users = result.shared.get(device, ())
    yield from card.known(device, known.facts, known.meter.read(), users, name)
