"""The counting process, which imports libraries once and forks a child per arch.

Importing torch and Dynamo takes 6 to 7 s, and capturing GoogLeNet's graph takes 2 s, on one thread.
So archs are counted in parallel. ``python -m bench.counts.count_worker`` starts the process; it
uses the protocol of a worker.
"""

import gc
import importlib
import multiprocessing
import os
import platform
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial
from itertools import chain

from torch import nn

from bench import archs
from bench.archs.source import Shape
from bench.cells.cell import Cell
from bench.counts import counting
from bench.counts.baseline import Counts
from bench.counts.protocol import CountGraphs, CountNetworks
from bench.errors import RequestError
from bench.machine.cores import physical_cores
from bench.worker.failure import sentence
from bench.worker.parent_death import die_with_parent
from bench.worker.serving import Operations
from bench.worker.worker import Worker, run


class CountWorker(Worker):
    """A worker that counts instead of measuring."""

    def operations(self) -> Operations:
        """Return a worker's operations and the two that count."""
        return {
            **super().operations(),
            CountNetworks: self.count_networks,
            CountGraphs: self.count_graphs,
        }

    def count_networks(self, request: CountNetworks) -> dict[str, Counts]:
        """Return parameters, operations and bytes of the cells' networks, by cell id."""
        libraries = chain.from_iterable(archs.find(cell.arch).imports for cell in request.cells)
        with _before_forking():
            for library in dict.fromkeys(libraries):
                importlib.import_module(library)
        count = partial(_count_arch, counting.count_networks, request)
        return _by_arch(count, request.cells)

    def count_graphs(self, request: CountGraphs) -> dict[str, Counts]:
        """Return graphs and graph breaks of the cells' networks, by cell id."""
        with _before_forking():
            counting.dynamo_only(nn.Identity())
        count = partial(_count_arch, counting.count_graphs, request)
        return _by_arch(count, request.cells)


def _count_arch(
    count: Callable[[list[Cell], int | None, Shape | None], dict[str, Counts]],
    request: CountNetworks | CountGraphs,
    cells: list[Cell],
) -> dict[str, Counts]:
    try:
        return count(cells, request.image_size, request.input_shape)
    # A network may raise any exception, and a child cannot send every exception to its parent.
    except Exception as error:  # noqa: BLE001
        raise RequestError(f"cannot count {cells[0].arch}: {sentence(error)}") from None


def _by_arch(
    count: Callable[[list[Cell]], dict[str, Counts]], cells: Sequence[Cell]
) -> dict[str, Counts]:
    """Count all cells; on Linux, where forking is safe, in a child process per arch."""
    by_arch: dict[str, list[Cell]] = defaultdict(list)
    for cell in cells:
        by_arch[cell.arch].append(cell)
    if platform.system() == "Linux":
        with ProcessPoolExecutor(
            min(len(by_arch), physical_cores()),
            mp_context=multiprocessing.get_context("fork"),
            initializer=die_with_parent,
            initargs=(os.getpid(),),
        ) as pool:
            results = list(pool.map(count, by_arch.values()))
    else:
        results = list(map(count, by_arch.values()))
    return {name: counted for part in results for name, counted in part.items()}


@contextmanager
def _before_forking() -> Iterator[None]:
    """Exclude what the body creates from garbage collection, for imports before a fork.

    The body must not run an operator, because the threads that it starts do not survive a fork.
    """
    gc.disable()  # collecting during the imports takes half a second
    try:
        yield
    finally:
        gc.freeze()  # a child's garbage collection would touch, and so copy, shared pages
        gc.enable()


if __name__ == "__main__":
    run(CountWorker())
