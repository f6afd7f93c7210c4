"""Ask a counting process, bench/gate/count_worker.py, for the counts of cells; without torch."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.cells import archs
from bench.cells.cell import Cell
from bench.engine.launch import Spawner
from bench.engine.process import WorkerError, WorkerProcess
from bench.gate.baseline import Baseline, Counts, versions_here
from bench.names import RequestError

LIMIT_S = 3600.0  # for hundreds of cells, and batches of hundreds


@dataclass(frozen=True, slots=True, kw_only=True)
class CountClient:
    """Counts cells, in a process that may import torch."""

    cells: Sequence[Cell]
    image_size: int
    versions: Mapping[str, str]
    process: WorkerProcess

    def steps(self) -> Iterator[Baseline]:
        """What is counted after each step, what takes longest at the end: the last has everything.

        First the networks that need torch alone, this project's among them; then those that need
        other libraries, torchvision's take 4 s to import; then graphs.
        """
        others = [cell for cell in self.cells if archs.find(cell.arch).imports]
        own = [cell for cell in self.cells if cell not in others]
        counted: dict[str, Counts] = {}
        for what, cells in (
            ("count_networks", own),
            ("count_networks", others),
            ("count_graphs", self.cells),
        ):
            if cells:
                for name, counts in self._ask(what, cells).items():
                    counted[name] = {**counted.get(name, {}), **counts}
                yield self._baseline(counted)

    def everything(self) -> Baseline:
        """What the last step has."""
        *_, last = self.steps()
        return last

    def _ask(self, what: str, cells: Sequence[Cell]) -> dict[str, Counts]:
        asked = [asdict(cell) for cell in cells]
        try:
            return self.process.request(
                what, limit_s=LIMIT_S, cells=asked, image_size=self.image_size
            )
        except WorkerError as error:
            raise RequestError(_reason(error)) from error

    def _baseline(self, counted: Mapping[str, Counts]) -> Baseline:
        in_order = [cell.id for cell in self.cells if cell.id in counted]
        return Baseline(
            image_size=self.image_size,
            versions=self.versions,
            cells={name: counted[name] for name in in_order},
        )


@contextmanager
def counter(cells: Sequence[Cell], image_size: int) -> Iterator[CountClient]:
    """What counts these cells, with images of that size.

    Raises ``ModuleNotFoundError`` where torch is not installed.
    """
    versions = versions_here()
    with Spawner(_environment(os.environ), module="bench.gate.count_worker") as spawner:
        process = spawner.launch()
        try:
            yield CountClient(
                cells=cells, image_size=image_size, versions=versions, process=process
            )
        finally:
            process.kill()  # it has nothing to put away


def _reason(error: WorkerError) -> str:
    """A line on why there are no counts."""
    if error.kind in {"request", "error"}:
        return str(error)
    last = next(reversed(error.stderr.splitlines()), "")
    return f"counting failed: {error}; {last}".rstrip("; ")


def _environment(base: Mapping[str, str]) -> dict[str, str]:
    """What the counter starts with: one thread, as archs are counted side by side, and no GPU.

    The current directory comes after ours, where Python puts it first: there may be folders in it
    that are named as ours are.
    """
    path = os.pathsep.join(filter(None, [base.get("PYTHONPATH"), str(Path.cwd())]))
    return {
        **base,
        "OMP_NUM_THREADS": "1",
        "CUDA_VISIBLE_DEVICES": "",
        "PYTHONSAFEPATH": "1",
        "PYTHONPATH": path,
    }
