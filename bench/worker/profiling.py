"""The time by operator of a cell, from the profiler of the library that runs it."""

from bench.cells.tasks import Task
from bench.records.reported import OperatorProfile
from bench.worker import failure

NO_PROFILER = "its executor has no profiler"


def profile(task: Task) -> OperatorProfile:
    """Return the time by operator of a task, or why it is unknown.

    An error is not that of the cell, whose figures are complete.
    """
    program = task.program
    try:
        with task.context():
            found = program.operators(task.step, program.load(task.batch.inputs))
    # Libraries raise errors of many kinds.
    except Exception as error:  # noqa: BLE001
        return OperatorProfile(error=f"its profiler failed: {failure.sentence(error)}")
    return found or OperatorProfile(error=NO_PROFILER)
