"""``python3 -m bench.gpu.compiling``: fill Inductor's cache with the code of many cells at once.

A run compiles group by group, the five networks of each side by side, and leaves most of a GPU
machine's cores idle meanwhile. Here all groups compile together. bf16's alone: what compiling takes
without a cache stays a figure of the run's other precisions.
"""

import argparse
import os
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from multiprocessing.connection import wait

from bench.cells import modes, plan
from bench.cells.cell import Cell
from bench.engine import timeouts
from bench.engine.launch import Launcher, launcher
from bench.engine.process import WorkerError, WorkerProcess
from bench.exits import Exit
from bench.machine import environment
from bench.names import RequestError
from bench.suite.profiles import PROFILES
from bench.tables import terminal_console

DTYPE = "bf16"
MODE = "compile"
SEED = 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Compile; 1 where a network could not be, 2 where there is nothing to compile on."""
    options = _parser().parse_args(arguments)
    console = terminal_console(stderr=True)
    variables = environment.for_workers(os.environ)
    failed = False
    try:
        wanted = cells(plan.device(options.device))
        imports = [name for token in modes.parse(MODE) for name in token.imports]
        with launcher(variables, imports, environment.cpus_for_workers()) as started:
            for cell, error in compile_all(wanted, started, environment.physical_cores()):
                said = "compiled" if error is None else f"failed: {error}"
                console.print(f"{cell.id}: {said}", markup=False, highlight=False, soft_wrap=True)
                failed = failed or error is not None
    except (RequestError, WorkerError) as error:
        console.print(f"compiling: {error}", markup=False, highlight=False, soft_wrap=True)
        return Exit.WRONG_REQUEST
    except KeyboardInterrupt:
        console.print("compiling: interrupted; what is compiled is kept")
        return Exit.WRONG_REQUEST
    return Exit.FAILED if failed else Exit.FINE


def cells(device: str) -> tuple[Cell, ...]:
    """What the default profile and the sweep compile in bf16, the largest batches first."""
    found = {
        cell
        for name in ("default", "sweep")
        for cell in plan.cells(
            arch_names=PROFILES[name].archs,
            mode_names=(MODE,),
            dtype_names=(DTYPE,),
            batch_sizes=PROFILES[name].batch_sizes(device),
            task_names=("infer",),
            device=device,
        )
    }
    return tuple(sorted(found, key=lambda cell: (-cell.batch_size, cell.id)))


def compile_all(
    wanted: Sequence[Cell], started: Launcher, most: int, *, image_size: int = plan.IMAGE_SIZE
) -> Iterator[tuple[Cell, WorkerError | None]]:
    """Prepare each cell in a worker of its own, ``most`` at a time; each, and what went wrong.

    Raises ``WorkerError`` where none can be started.
    """
    waiting, busy = deque(wanted), dict[Cell, WorkerProcess]()
    try:
        while waiting or busy:
            while waiting and len(busy) < most:
                cell = waiting.popleft()
                busy[cell] = started.launch()
                # As a run asks for it, or it would be other code.
                asked = {"cell": asdict(cell), "image_size": image_size, "seed": SEED}
                busy[cell].send("prepare", **asked, threads=1)
            ready = wait([worker.fileno() for worker in busy.values()])
            for cell in [cell for cell, worker in busy.items() if worker.fileno() in ready]:
                worker = busy.pop(cell)
                try:
                    worker.receive(timeouts.SHORT_S)
                except WorkerError as error:
                    yield cell, error
                else:
                    yield cell, None
                finally:
                    worker.close()
    finally:
        for worker in busy.values():
            worker.kill()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python3 -m bench.gpu.compiling",
        description="Compile what the default profile and the sweep measure in bf16.",
    )
    parser.add_argument("--device", help="cuda, cuda:N or cpu (cuda where there is one)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
