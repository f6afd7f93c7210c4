import os
from dataclasses import replace
from pathlib import Path

import pytest

from bench.api.profiles import LADDER, SWEEP
from bench.cells.cell import Cell
from bench.launch.launchers import ForkServer, Launcher
from bench.machine.pinned import for_workers
from bench.studies.gpu import compiling
from bench.studies.gpu.compiling import compile_all
from bench.worker.protocol import Prepare

pytestmark = pytest.mark.workers

SIZE = 16
CELL = Cell(
    arch="tests.bench.tiny:net",
    mode="compile",
    dtype="bf16",
    batch_size=2,
    task="infer",
    device="cpu",
)


def test_cells_that_both_profiles_compile_are_listed_once() -> None:
    cells = compiling.cells("cuda")
    assert len(set(cells)) == len(cells) == 2 * len(LADDER) + 2 * (len(SWEEP["cuda"]) - 2)
    assert {(cell.mode, cell.dtype, cell.device) for cell in cells} == {("compile", "bf16", "cuda")}
    sizes = [cell.batch_size for cell in cells]
    assert sizes == sorted(sizes, reverse=True)


def test_a_run_finds_the_compiled_code_in_the_cache(tmp_path: Path) -> None:
    variables = for_workers({**os.environ, "TORCHINDUCTOR_CACHE_DIR": str(tmp_path)})
    with ForkServer(variables) as server:
        done = list(compile_all([CELL], server, 1, image_size=SIZE))
        assert done == [(CELL, None)]
        worker = server.launch()
        request = Prepare(cell=CELL, image_size=SIZE, seed=1, threads=2, is_cached=True)
        # The cache key is the same, although this worker starts no compile processes.
        facts = worker.request(request, limit_s=120.0)
        worker.close()
    assert facts.compile_cached is True


def test_a_cell_that_fails_does_not_stop_the_others(fork_server: Launcher) -> None:
    broken = replace(CELL, arch="tests.bench.broken:raises_when_built", mode="eager")
    fine = replace(CELL, arch="tests.bench.broken:works", mode="eager")
    done = dict(compile_all([broken, fine, replace(fine, batch_size=3)], fork_server, 2))
    assert "no such weights" in str(done.pop(broken))
    assert list(done.values()) == [None, None]


def test_an_unknown_device_exits_with_a_message(capsys: pytest.CaptureFixture[str]) -> None:
    assert compiling.main(["--device", "tpu"]) == 2
    assert "no device is called 'tpu'" in capsys.readouterr().err


def test_an_interrupt_exits_with_a_message(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(compiling, "compile_all", interrupt)
    assert compiling.main(["--device", "cpu"]) == 2
    assert "interrupted" in capsys.readouterr().err
