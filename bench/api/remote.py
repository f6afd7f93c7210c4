"""The process that measures a job on a node of a cluster: ``run_module.py bench.api.remote``."""

from bench.api import code
from bench.engine.remote import session
from bench.engine.remote.job import Job
from bench.errors import RequestError


def check(job: Job) -> None:
    """Raise ``RequestError`` if this node has other code than the run."""
    if job.code is None or code.current(job.plan).digest == job.code.digest:
        return
    raise RequestError(
        "it has other code of googlenet-bench or of the networks than the machine that began the "
        "run, so it would measure something else; install the same version on all nodes, or use "
        "one folder that all share"
    )


if __name__ == "__main__":
    session.main(check)
