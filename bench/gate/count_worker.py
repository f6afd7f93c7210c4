"""The counter: a process of its own that imports everything once, and forks a child for each arch.

Importing torch and Dynamo takes 6 to 7 seconds, and capturing GoogLeNet's graph takes 2, on one
thread; so archs are counted side by side. ``python -m bench.gate.count_worker`` starts it; its
protocol is that of a worker.
"""

import gc
import importlib
import multiprocessing
import os
import platform
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial
from itertools import chain
from typing import Any

from torch import nn

from bench.cells import archs
from bench.cells.cell import Cell
from bench.gate import counts
from bench.gate.baseline import Counts
from bench.machine.environment import physical_cores
from bench.names import RequestError
from bench.worker.failure import sentence
from bench.worker.parent_death import die_with_parent
from bench.worker.worker import Operation, Worker, run


class CountWorker(Worker):
    """A worker that counts."""

    def operations(self) -> dict[str, Operation]:
        """What a worker can be asked for, and what to count."""
        return {
            **super().operations(),
            "count_networks": self.count_networks,
            "count_graphs": self.count_graphs,
        }

    def count_networks(self, cells: list[dict[str, Any]], image_size: int) -> dict[str, Counts]:
        """What the cells' networks are made of and hold, by the cells' ids."""
        wanted = [Cell(**cell) for cell in cells]
        libraries = chain.from_iterable(archs.find(cell.arch).imports for cell in wanted)
        with _kept():
            for library in dict.fromkeys(libraries):
                importlib.import_module(library)
        return _by_arch(partial(_counted, counts.of_networks, image_size), wanted)

    def count_graphs(self, cells: list[dict[str, Any]], image_size: int) -> dict[str, Counts]:
        """What Dynamo makes of them."""
        with _kept():
            counts.capturing(nn.Identity())
        return _by_arch(
            partial(_counted, counts.of_graphs, image_size), [Cell(**cell) for cell in cells]
        )


def _counted(
    count: Callable[[list[Cell], int], dict[str, Counts]], image_size: int, cells: list[Cell]
) -> dict[str, Counts]:
    try:
        return count(cells, image_size)
    # A network may fail in any way, and not every exception finds its way out of a child.
    except Exception as error:  # noqa: BLE001
        raise RequestError(f"cannot count {cells[0].arch}: {sentence(error)}") from None


def _by_arch(
    count: Callable[[list[Cell]], dict[str, Counts]], cells: list[Cell]
) -> dict[str, Counts]:
    """Counts of all cells: of each arch in a child of its own, where forking is safe."""
    together: dict[str, list[Cell]] = defaultdict(list)
    for cell in cells:
        together[cell.arch].append(cell)
    if platform.system() == "Linux":
        with ProcessPoolExecutor(
            min(len(together), physical_cores()),
            mp_context=multiprocessing.get_context("fork"),
            initializer=die_with_parent,
            initargs=(os.getpid(),),
        ) as pool:
            found = list(pool.map(count, together.values()))
    else:
        found = list(map(count, together.values()))
    return {name: counted for part in found for name, counted in part.items()}


@contextmanager
def _kept() -> Iterator[None]:
    """Import for good, and run no operator: the threads that it starts would not survive a fork."""
    gc.disable()  # looking for what will not be kept takes half a second
    try:
        yield
    finally:
        gc.freeze()  # no child's garbage collection walks, and by that copies, what is shared
        gc.enable()


if __name__ == "__main__":
    run(CountWorker())
