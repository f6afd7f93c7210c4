"""A job: what one process on a node measures."""

import msgspec

from bench.cells.plan import Plan
from bench.engine.tasks import PreflightTask, SetTask
from bench.records.code import Code


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """A task of a run, with everything that its process needs; sent as a line of JSON."""

    plan: Plan
    task: PreflightTask | SetTask
    host: str
    """Name of the node in the run."""
    code: Code | None = None
    """The code of the run, which that of the node must equal; None to accept any."""
    sent_s: float
    """When the job was sent, in seconds since 1970: the time in a queue counts in a budget."""


def encode(job: Job) -> bytes:
    """Return a job as a line."""
    return msgspec.json.encode(job) + b"\n"


def decode(line: bytes) -> Job:
    """Return the job of a line."""
    return msgspec.json.decode(line, type=Job)
