"""The hosts of a request: this machine, or a cluster to connect to."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import TypeAlias

from bench import optional
from bench.api.measure_request import MeasureRequest
from bench.api.option import flag
from bench.api.report_folder import REPORTS, ReportFolder
from bench.cells.plan import Plan
from bench.engine.hosts import HOSTS, LIBRARIES, LOCAL, RAY, SLURM, SLURM_JOBS
from bench.engine.hosts.host import Host
from bench.engine.progress import Progress
from bench.errors import RequestError
from bench.names import choose
from bench.records.code import Code

HostOf: TypeAlias = Callable[[Plan, Code | None], Host]
OPTIONS: Mapping[str, str] = MappingProxyType(
    {"ray_address": RAY, "ray_labels": RAY, "slurm": SLURM, "slurm_jobs": SLURM}
)
"""The hosts that options are for, by the name of the option."""


def name_of(request: MeasureRequest) -> str:
    """Return the name of a request's hosts."""
    return request.hosts or LOCAL


def is_remote(request: MeasureRequest) -> bool:
    """Return whether a request is measured on other machines than this one."""
    return name_of(request) != LOCAL


def check(request: MeasureRequest) -> None:
    """Raise ``RequestError`` if the hosts are unknown, or their library is not installed.

    An option of other hosts is an error, too.
    """
    name = name_of(request)
    choose("host", name, HOSTS)
    for option, host in OPTIONS.items():
        if getattr(request, option) and host != name:
            raise RequestError(f"{flag(option)} needs --hosts {host}")
    if name in LIBRARIES and (
        why := optional.missing(f"--hosts {name}", [LIBRARIES[name]], extra=name)
    ):
        raise RequestError(why)


@contextmanager
def connected(
    request: MeasureRequest, folder: ReportFolder | None, progress: Progress
) -> Iterator[HostOf]:
    """Connect to the cluster of a request; yield what returns the host for a plan.

    Raises ``RequestError`` if there is no such cluster.
    """
    from bench.engine.remote.process import variables_of_run

    variables = variables_of_run(os.environ)
    if name_of(request) == SLURM:
        from bench.engine.hosts.slurm import SlurmHost

        yield lambda plan, code: SlurmHost(
            plan,
            progress,
            folder=_shared_folder(folder),
            variables=variables,
            parameters=_settings(request.slurm),
            slots=request.slurm_jobs or SLURM_JOBS,
            code=code,
        )
        return
    from bench.engine.hosts import ray

    with ray.connected(request.ray_address or "auto"):
        yield lambda plan, code: ray.RayHost(
            plan, progress, variables=variables, labels=_settings(request.ray_labels), code=code
        )


def _settings(pairs: Sequence[str] | None) -> dict[str, str]:
    """Return the values of ``NAME=VALUE`` by name."""
    return {name: value for name, _, value in (pair.partition("=") for pair in pairs or ())}


def _shared_folder(folder: ReportFolder | None) -> Path:
    """Return the folder for the files of jobs, which is on a file system that all nodes share."""
    chosen = folder.chosen if folder else None
    return (chosen or Path.cwd() / REPORTS).absolute() / SLURM
