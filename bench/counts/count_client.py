"""The client of the counting process, bench/counts/count_worker.py. Does not import torch."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from bench import archs
from bench.archs import source_file
from bench.archs.source import Shape
from bench.cells.cell import Cell
from bench.counts.baseline import Baseline, Counts, versions_here
from bench.counts.protocol import CountGraphs, CountNetworks
from bench.errors import RequestError
from bench.launch.launchers import Spawner
from bench.launch.process import WorkerError, WorkerProcess

LIMIT_S = 3600.0  # enough for hundreds of cells with batch sizes in the hundreds


@dataclass(frozen=True, slots=True, kw_only=True)
class CountClient:
    """Counts cells in another process, which imports torch."""

    cells: Sequence[Cell]
    image_size: int | None
    input_shape: Shape | None
    versions: Mapping[str, str]
    process: WorkerProcess

    def steps(self) -> Iterator[Baseline]:
        """Yield the counts so far after each step, the slowest step last; the last has all counts.

        First come networks that need only torch, such as this project's; then those that need other
        libraries, because torchvision takes 4 s to import; then graphs.
        """
        with_imports = [cell for cell in self.cells if archs.find(cell.arch).imports]
        torch_only = [cell for cell in self.cells if cell not in with_imports]
        counted: dict[str, Counts] = {}
        for step, cells in (
            (CountNetworks, torch_only),
            (CountNetworks, with_imports),
            (CountGraphs, self.cells),
        ):
            if cells:
                request = step(
                    cells=tuple(cells), image_size=self.image_size, input_shape=self.input_shape
                )
                for name, counts in self._counts(request).items():
                    counted[name] = {**counted.get(name, {}), **counts}
                yield self._baseline(counted)

    def everything(self) -> Baseline:
        """Return the counts after the last step."""
        *_, last = self.steps()
        return last

    def _counts(self, request: CountNetworks | CountGraphs) -> dict[str, Counts]:
        try:
            return self.process.request(request, limit_s=LIMIT_S)
        except WorkerError as error:
            raise RequestError(_reason(error)) from error

    def _baseline(self, counted: Mapping[str, Counts]) -> Baseline:
        in_order = [cell.id for cell in self.cells if cell.id in counted]
        return Baseline(
            image_size=self.image_size,
            input_shape=self.input_shape,
            versions=self.versions,
            cells={name: counted[name] for name in in_order},
        )


@contextmanager
def counter(
    cells: Sequence[Cell], image_size: int | None, input_shape: Shape | None = None
) -> Iterator[CountClient]:
    """Start a counting process and yield its client; stop the process afterwards.

    ``image_size`` is the height and width in pixels; None for what each network is made for, or
    ``input_shape`` if it does not say that. Raises ``ModuleNotFoundError`` if torch is not
    installed.
    """
    versions = versions_here()
    with Spawner(_environment(os.environ), module="bench.counts.count_worker") as spawner:
        process = spawner.launch()
        try:
            yield CountClient(
                cells=cells,
                image_size=image_size,
                input_shape=input_shape,
                versions=versions,
                process=process,
            )
        finally:
            process.kill()  # it has nothing to clean up


def _reason(error: WorkerError) -> str:
    """Return a line that says why there are no counts."""
    if error.kind in {"request", "error"}:
        return str(error)
    last = next(reversed(error.stderr.splitlines()), "")
    return f"counting failed: {error}; {last}".rstrip("; ")


def _environment(base: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of the counting process.

    It has one thread, because archs are counted in parallel, and no GPU. Python would put the
    current directory first on the import path; here the networks' folder comes last, because it may
    have folders with the same names as this project's.
    """
    path = os.pathsep.join(filter(None, [base.get("PYTHONPATH"), *map(str, source_file.roots())]))
    return {
        **base,
        "OMP_NUM_THREADS": "1",
        "CUDA_VISIBLE_DEVICES": "",
        "PYTHONSAFEPATH": "1",
        "PYTHONPATH": path,
    }
