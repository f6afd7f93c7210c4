"""``python3 -m bench.studies.gpu.compiling``: compile many cells in parallel, to fill the cache.

A run compiles one group at a time, five networks in parallel, which leaves most cores of a GPU
machine idle. This module compiles all groups in parallel. It compiles only bf16 cells, so that the
run still measures compile times without a cache in its other precisions.
"""

import argparse
import os
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from multiprocessing.connection import wait

from bench.api.profiles import PROFILES
from bench.archs.source import IMAGE_SIZE
from bench.cells import modes, plan_values
from bench.cells.cell import Cell
from bench.errors import RequestError
from bench.exits import Exit
from bench.launch import timeouts
from bench.launch.launchers import Launcher, launcher
from bench.launch.process import WorkerError, WorkerProcess
from bench.machine import cores, pinned
from bench.tables import terminal_console
from bench.worker.protocol import Prepare

DTYPE = "bf16"
MODE = "compile"
SEED = 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Compile the cells; return 1 if one fails, 2 if the request is invalid or interrupted."""
    options = _parser().parse_args(arguments)
    console = terminal_console(stderr=True)
    variables = pinned.for_workers(os.environ)
    failed = False
    try:
        selected = cells(plan_values.device(options.device))
        imports = modes.parse(MODE).imports
        with launcher(variables, imports, cores.cpus_for_workers()) as server:
            for cell, error in compile_all(selected, server, cores.physical_cores()):
                result = "compiled" if error is None else f"failed: {error}"
                console.print(f"{cell.id}: {result}", markup=False, highlight=False, soft_wrap=True)
                failed = failed or error is not None
    except (RequestError, WorkerError) as error:
        console.print(f"compiling: {error}", markup=False, highlight=False, soft_wrap=True)
        return Exit.WRONG_REQUEST
    except KeyboardInterrupt:
        console.print("compiling: interrupted; the code compiled so far stays in the cache")
        return Exit.WRONG_REQUEST
    return Exit.FAILED if failed else Exit.FINE


def cells(device: str) -> tuple[Cell, ...]:
    """Return the bf16 cells of the default profile and the sweep, largest batches first."""
    selected = {
        cell
        for name in ("default", "sweep")
        for cell in plan_values.cells(
            arch_names=PROFILES[name].archs,
            mode_names=(MODE,),
            dtype_names=(DTYPE,),
            batch_sizes=PROFILES[name].batch_sizes(device),
            task_names=("infer",),
            device=device,
        )
    }
    return tuple(sorted(selected, key=lambda cell: (-cell.batch_size, cell.id)))


def compile_all(
    selected: Sequence[Cell],
    server: Launcher,
    max_workers: int,
    *,
    image_size: int = IMAGE_SIZE,
) -> Iterator[tuple[Cell, WorkerError | None]]:
    """Prepare each cell in its own worker; yield the cell and its error, or None.

    At most ``max_workers`` run at a time. Raises ``WorkerError`` if no worker can be started.
    """
    waiting, running = deque(selected), dict[Cell, WorkerProcess]()
    try:
        while waiting or running:
            while waiting and len(running) < max_workers:
                cell = waiting.popleft()
                running[cell] = server.launch()
                # The same request as in a run, so that the code has the same cache key.
                request = Prepare(cell=cell, image_size=image_size, seed=SEED, threads=1)
                running[cell].send(request)
            ready = wait([worker.fileno() for worker in running.values()])
            for cell in [cell for cell, worker in running.items() if worker.fileno() in ready]:
                worker = running.pop(cell)
                try:
                    worker.receive(Prepare, timeouts.SHORT_S)
                except WorkerError as error:
                    yield cell, error
                else:
                    yield cell, None
                finally:
                    worker.close()
    finally:
        for worker in running.values():
            worker.kill()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python3 -m bench.studies.gpu.compiling",
        description="Compile the networks that the default profile and the sweep measure in bf16.",
    )
    parser.add_argument("--device", help="cuda, cuda:N or cpu (default: cuda if available)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
