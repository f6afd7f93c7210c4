"""A worker that also times two networks in turn, in one process."""

import os
from typing import Any

from bench import clock, subject
from bench.cell import Cell
from bench.lifeline import die_with
from bench.worker import Operation, Worker, run


class CalibratingWorker(Worker):
    """A worker that can be asked what a second network takes, beside its own."""

    def operations(self) -> dict[str, Operation]:
        """A worker's, and one more."""
        return {**super().operations(), "beside": self.beside}

    def beside(
        self, cell: dict[str, Any], image_size: int, seed: int, pairs: int
    ) -> dict[str, Any]:
        """Seconds of iterations of the network prepared before, and of this one's, in turn."""
        own = clock.for_device(self.device)
        first = self._ready().task
        second = subject.prepare(Cell(**cell), image_size=image_size, seed=seed).task
        for task in (first, second):
            subject.warm_up(task, own)
        first_s: list[float] = []
        second_s: list[float] = []
        for _ in range(pairs):
            for task, seconds in ((first, first_s), (second, second_s)):
                with task.context():
                    seconds += own.time(task.step, 1).host_s
        return {"first_s": first_s, "second_s": second_s}


if __name__ == "__main__":
    die_with(os.getppid())
    run(CalibratingWorker())
