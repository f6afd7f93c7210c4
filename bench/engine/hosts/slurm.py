"""The Slurm host: each task is a job of Slurm, on a node that it has to itself."""

import math
import shutil
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from bench.cells.plan import Plan
from bench.engine.progress import Progress
from bench.engine.remote import job as jobs
from bench.engine.remote.connection import Connection, NodeLostError
from bench.engine.remote.job import Job
from bench.engine.remote.job_folder import POLL_S, JobFolder
from bench.engine.remote.process import GRACE_S
from bench.engine.remote.remote_host import RemoteHost
from bench.errors import RequestError
from bench.records.code import Code

QUEUE_NOTE_S = 20.0
CHECK_S = 15.0  # how often Slurm is asked whether a silent job is alive
LONGEST_MIN = 24 * 60  # unless the user gives a time


class SlurmHost(RemoteHost):
    """Nodes of a Slurm cluster, which share a folder with this machine."""

    name = "slurm"

    def __init__(
        self,
        plan: Plan,
        progress: Progress,
        *,
        folder: Path,
        variables: Mapping[str, str],
        parameters: Mapping[str, str] | None = None,
        slots: int = 1,
        cluster: str = "slurm",
        code: Code | None = None,
    ) -> None:
        """``folder`` is shared by all nodes; ``parameters`` are options of ``sbatch``.

        ``slots`` is the number of jobs at the same time; ``cluster`` is the executor of submitit.
        Raises ``RequestError`` without Slurm.
        """
        super().__init__(plan, progress, code=code)
        import submitit

        self.slots = slots
        self._folder = folder
        self._variables = variables
        folder.mkdir(parents=True, exist_ok=True)
        try:
            self._executor = submitit.AutoExecutor(folder=folder / "%j", cluster=cluster)
        except RuntimeError as error:
            raise RequestError(
                f"--hosts slurm: {error}; run it on a machine that submits to Slurm"
            ) from error
        self._executor.update_parameters(
            name="googlenet-bench",
            timeout_min=LONGEST_MIN,
            slurm_exclusive=True,
            slurm_additional_parameters=dict(parameters or {}),
        )

    def connect(self, job: Job) -> Connection:
        """Submit a job."""
        folder = JobFolder(Path(tempfile.mkdtemp(prefix="job-", dir=self._folder)))
        line = jobs.encode(msgspec.structs.replace(job, host=self.name))
        submitted = self._executor.submit(folder.measure, line, dict(self._variables))
        return _SlurmConnection(submitted, folder, self._progress)


class _SlurmConnection(Connection):
    """A job of Slurm, and the folder with its messages."""

    name = SlurmHost.name

    def __init__(self, submitted: Any, folder: JobFolder, progress: Progress) -> None:
        super().__init__()
        self._submitted = submitted
        self._folder = folder
        self._progress = progress
        self._began_s = self._checked_s = time.monotonic()
        self._has_begun = False

    def receive(self, limit_s: float | None) -> bytes:
        """Wait for the next lines; raises ``NodeLostError`` if the job has ended without them."""
        start_s = time.monotonic()
        while not (lines := self._folder.read()):
            now_s = time.monotonic()
            if limit_s is not None and now_s - start_s > limit_s:
                raise NodeLostError(f"no message within {limit_s:.0f} s")
            if now_s - self._checked_s > CHECK_S and self._has_ended():
                break
            if not self._has_begun and now_s - self._began_s > QUEUE_NOTE_S:
                self._began_s = math.inf
                self._progress.note(f"waiting for Slurm to start job {self._submitted.job_id}")
            time.sleep(POLL_S)
        lines = lines or self._folder.read()  # the last lines before the end
        if not lines:
            state = self._submitted.state
            raise NodeLostError(f"job {self._submitted.job_id} ended in the state {state}")
        self._has_begun = True
        return lines

    def _has_ended(self) -> bool:
        self._checked_s = time.monotonic()
        return bool(self._submitted.done(force_check=True))

    def interrupt(self) -> None:
        """Let the process judge the rounds until now, and end."""
        self._folder.stop()

    def close(self) -> None:
        """End the job, and delete its folder."""
        self._folder.stop()
        deadline = time.monotonic() + (GRACE_S if self._has_begun else 0.0)
        while not self._submitted.done() and time.monotonic() < deadline:
            time.sleep(POLL_S)
        if not self._submitted.done():
            self._submitted.cancel(check=False)
        shutil.rmtree(self._folder.path, ignore_errors=True)
