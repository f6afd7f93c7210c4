"""Examining: the machine is read, and what each reading means is a finding."""

import os
import platform
import shutil
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

import psutil

from bench.cells import plan
from bench.cells.cell import Cell
from bench.doctor import card, host
from bench.doctor.finding import Finding, Severity
from bench.engine import timeouts
from bench.engine.launch import Launcher, launcher
from bench.engine.process import WorkerError
from bench.machine import cards, cgroup, driver, environment, resident
from bench.machine.load import SystemMeter, foreign_cpus
from bench.machine.memory_budget import free_host_bytes
from bench.machine.system_files import text
from bench.names import RequestError

WATCHED_S = 1.0
TRIED = Cell(arch="googlenet", mode="eager", dtype="fp32", batch_size=1, task="infer", device="cpu")
TRIED_SIZE = 64  # pixels
_INSTALL = "install torch and torchvision together: pip install 'googlenet-bench[measure]'"


def examine(device: str, sleep: Callable[[float], None] = time.sleep) -> tuple[Finding, ...]:
    """Every finding about measuring on ``device``; takes some seconds."""
    devices = plan.devices(device) or (device,)
    before = psutil.cpu_times()
    working = workers(devices)  # keeps CPUs busy meanwhile
    found = (
        *working,
        host.stolen(stolen_share(before, psutil.cpu_times())),
        *compilers(on_gpu=device != "cpu"),
        cache(),
        load(device, sleep),
        host.peak(can_be_reset=resident.reset_peak()) if device == "cpu" else None,
        *of_host(on_gpu=device != "cpu"),
        *(finding for one in devices if one != "cpu" for finding in on_card(one)),
    )
    return tuple(finding for finding in found if finding is not None)


def workers(devices: tuple[str, ...]) -> Iterator[Finding]:
    """Of a worker on each device: started as those of a run are, and given a network to run."""
    variables = environment.for_workers(os.environ)
    try:
        with launcher(variables, ["torchvision"], environment.cpus_for_workers()) as started:
            for device in devices:
                yield worker(started, device)
    except WorkerError as error:
        yield _no_worker("worker", error)


def worker(started: Launcher, device: str) -> Finding:
    """Of one worker; raises ``WorkerError`` where none can be started at all."""
    what = f"worker on {device}"
    process = started.launch()
    try:
        about = process.request("describe", limit_s=timeouts.PREPARE_S, device=device)
        process.request(
            "attempt",
            limit_s=timeouts.PREPARE_S,
            cell={**asdict(TRIED), "device": device},
            image_size=TRIED_SIZE,
            seed=0,
        )
    except WorkerError as error:
        return _no_worker(what, error)
    finally:
        process.kill()
    return Finding(
        what=what,
        found=f"runs {TRIED.arch}; PyTorch {about['torch']}, torchvision {about['torchvision']}, "
        f"Python {about['python']}, {about['device_name']}, {about['threads']} threads",
    )


def _no_worker(what: str, error: WorkerError) -> Finding:
    last = next(reversed(error.stderr.strip().splitlines()), "")
    return Finding(
        what=what,
        found=" ".join(filter(None, (str(error), last))),
        state=Severity.PREVENTS,
        advice=_INSTALL if error.kind in {"start", "died"} else "as it says",
    )


def stolen_share(before: object, after: object) -> float | None:
    """Of two readings of CPU times: what was stolen, of all but idle time; None where not told."""
    if not hasattr(before, "steal") or not hasattr(after, "steal"):
        return None
    spent: dict[str, float] = {
        name: getattr(after, name) - getattr(before, name)
        for name in ("user", "nice", "system", "irq", "softirq", "steal")
    }
    return spent["steal"] / max(sum(spent.values()), 1e-9)


def compilers(*, on_gpu: bool) -> Iterator[Finding]:
    """Of what torch.compile needs: Inductor's compiler, on CUDA Triton's, and Python's headers."""
    yield _compiler("CXX", ("clang++" if sys.platform == "darwin" else "g++",))
    if on_gpu:
        yield _compiler("CC", ("gcc", "clang"))
    path = Path(sysconfig.get_paths()["include"]) / "Python.h"
    yield host.headers(str(path), are_there=path.is_file())


def _compiler(variable: str, by_itself: tuple[str, ...]) -> Finding:
    """Of the one that an environment variable names, or else of those that are looked for."""
    names = tuple(os.environ.get(variable, "").split()[:1]) or by_itself
    found = next(filter(None, map(shutil.which, names)), None)
    return host.compiler(found, names[0], variable)


def cache() -> Finding:
    """Of the folder for compiled code, which is made where it is not there."""
    folder = environment.for_workers(os.environ)["TORCHINDUCTOR_CACHE_DIR"]
    is_chosen = "TORCHINDUCTOR_CACHE_DIR" in os.environ
    is_users = is_chosen or environment.users_cache_folder(os.environ) is not None
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(bytes(2**20))
            file.flush()
    except OSError as error:
        return host.cache(folder, error.strerror or str(error), is_users=is_users)
    return host.cache(folder, None, is_users=is_users)


def load(device: str, sleep: Callable[[float], None]) -> Finding:
    """Of what others do in a second in which this process does nothing."""
    meter, own = SystemMeter(), [os.getpid()]
    before = meter.read(own)
    sleep(WATCHED_S)
    limit = plan.foreign_cpus(
        device, cores=environment.physical_cores(), allowed=environment.allowed_cores()
    )
    return host.load(foreign_cpus(before, meter.read(own)), limit)


def of_host(*, on_gpu: bool, root: Path = Path("/")) -> Iterator[Finding | None]:
    """Of what the system tells in files below ``root``; a GPU's cells need less of a host."""
    threads = environment.for_workers(os.environ)["OMP_NUM_THREADS"]
    needed = plan.HOST_CORES if on_gpu or not threads.isdecimal() else int(threads)
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


def on_card(device: str) -> Iterator[Finding]:
    """Of a CUDA device, as the driver and NVML tell."""
    try:
        found = cards.find([device], allow_shared=True)
    except RequestError as error:
        yield card.refused(device, str(error))
        return
    if why := found.unknown.get(device):
        yield card.unknown(device, why)
        return
    one = found.known[device]
    names = driver.names()
    index = int(device.partition(":")[2] or 0)
    facts = {**one.facts, "name": names[index] if index < len(names) else None}
    yield from card.known(device, facts, one.meter.read(), found.shared.get(device, ()))
