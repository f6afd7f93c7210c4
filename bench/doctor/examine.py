"""Examining: the machine is read, and what each reading means is a finding."""

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil

from bench.cells import plan
from bench.doctor import card, host
from bench.doctor.finding import Finding, State
from bench.engine import limits
from bench.engine.launch import Spawner
from bench.engine.process import WorkerError
from bench.machine import cards, driver, environment
from bench.machine.load import SystemMeter, foreign_cpus
from bench.machine.room import free_host_bytes
from bench.names import RequestError

WATCHED_S = 1.0
_CPU_MAX = Path("/sys/fs/cgroup/cpu.max")
_GOVERNORS = "cpu[0-9]*/cpufreq/scaling_governor"
_CPUS = Path("/sys/devices/system/cpu")
_HUGE_PAGES = Path("/sys/kernel/mm/transparent_hugepage/enabled")
_ACCOUNTS = Path("/proc/thread-self/schedstat")


def examine(device: str, sleep: Callable[[float], None] = time.sleep) -> Iterator[Finding]:
    """Every finding about measuring on ``device``, as it comes; takes some seconds."""
    yield worker(device)
    yield host.compiler(*compiler())
    yield cache()
    yield from watched(device, sleep)
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    governors = [text for path in _CPUS.glob(_GOVERNORS) if (text := _text(path))]
    found = (
        host.quota(_text(_CPU_MAX), cpus or 1),
        host.governors(governors),
        host.huge_pages(_text(_HUGE_PAGES)),
        host.accounts(_ACCOUNTS.exists()),
        host.memory(free_host_bytes()),
    )
    yield from (one for one in found if one is not None)
    for one in plan.devices(device) or (device,):
        if one.startswith("cuda"):
            yield from on_card(one)


def worker(device: str) -> Finding:
    """Of a worker: started as those of a run are, and asked what it runs in."""
    where = (plan.devices(device) or (device,))[0]
    started = None
    try:
        started = Spawner(environment.for_workers(os.environ)).launch()
        about = started.request("describe", limit_s=limits.SHORT_S, device=where)
    except WorkerError as error:
        last = next(reversed(error.stderr.strip().splitlines()), "")
        return Finding(
            what="worker",
            found=" ".join(filter(None, (str(error), last))),
            state=State.PREVENTS,
            advice="install torch and torchvision together: pip install 'googlenet-bench[measure]'",
        )
    finally:
        if started is not None:
            started.kill()
    found = (
        f"PyTorch {about['torch']}, torchvision {about['torchvision']}, Python {about['python']}, "
        f"{about['device_name']}, {about['threads']} threads"
    )
    return Finding(what="worker", found=found)


def compiler() -> tuple[str | None, str]:
    """Where torch.compile's C++ compiler is, and its name."""
    named = os.environ.get("CXX", "").split()
    names = named[:1] or ["g++", "clang++"]
    return next(filter(None, map(shutil.which, names)), None), names[0]


def cache() -> Finding:
    """Of the folder for compiled code, which is made where it is not there."""
    folder = environment.cache_folder(os.environ)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return host.cache(str(folder), None)
    except OSError as error:
        return host.cache(str(folder), error.strerror or str(error))


def watched(device: str, sleep: Callable[[float], None]) -> Iterator[Finding]:
    """Of what others do in a second in which this process does nothing."""
    meter, own = SystemMeter(), [os.getpid()]
    before, stolen_s = meter.read(own), _stolen_s()
    sleep(WATCHED_S)
    after, stolen_after_s = meter.read(own), _stolen_s()
    limit = plan.foreign_cpus(device, environment.physical_cores())
    yield host.load(foreign_cpus(before, after), limit)
    yield host.stolen((stolen_after_s - stolen_s) / max(after.at_s - before.at_s, 1e-9))


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


def _stolen_s() -> float:
    return float(getattr(psutil.cpu_times(), "steal", 0.0))


def _text(path: Path) -> str | None:
    try:
        return path.read_text().strip()
    except OSError:
        return None
