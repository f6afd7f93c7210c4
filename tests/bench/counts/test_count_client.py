import os
from pathlib import Path
from typing import cast

import pytest

from bench.cells.cell import Cell
from bench.counts import count_client
from bench.counts.baseline import Counts
from bench.counts.protocol import CountGraphs, CountNetworks
from bench.errors import RequestError
from bench.launch.process import WorkerError, WorkerProcess


class Process:
    """A fake counting process: each requested count is 1."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, list[str]]] = []
        self.image_sizes: set[int | None] = set()

    def request(self, request: CountNetworks | CountGraphs, *, limit_s: float) -> dict[str, Counts]:
        assert limit_s > 0
        op = str(request.__struct_config__.tag)
        ids = [cell.id for cell in request.cells]
        self.requests.append((op, ids))
        self.image_sizes.add(request.image_size)
        return {name: {op: 1} for name in ids}


class Failing:
    def request(self, _request: object, *, limit_s: float) -> dict[str, Counts]:
        assert limit_s > 0
        raise WorkerError("request", "it raised")


def cells(*archs: str) -> list[Cell]:
    return [
        Cell(arch=arch, mode="eager", dtype="fp32", batch_size=1, task="infer", device="cpu")
        for arch in archs
    ]


def counter(requested: list[Cell], process: object) -> count_client.CountClient:
    return count_client.CountClient(
        cells=requested,
        image_size=192,
        input_shape=None,
        versions={"torch": "2.15.0"},
        process=cast(WorkerProcess, process),
    )


def test_networks_that_need_only_torch_are_counted_first_and_graphs_last() -> None:
    process = Process()
    requested = cells("torchvision", "googlenet", "torchvision:resnet18", "tests.bench.tiny:net")
    tv, googlenet, resnet, tiny = (cell.id for cell in requested)
    first, second, third = counter(requested, process).steps()
    assert process.requests == [
        ("count_networks", [googlenet, tiny]),
        ("count_networks", [tv, resnet]),
        ("count_graphs", [tv, googlenet, resnet, tiny]),
    ]
    assert process.image_sizes == {192}
    assert list(first.cells) == [googlenet, tiny]
    assert list(second.cells) == list(third.cells) == [tv, googlenet, resnet, tiny]
    assert set(second.cells[googlenet]) == {"count_networks"}
    assert third.cells[googlenet] == {"count_networks": 1, "count_graphs": 1}
    assert (third.image_size, third.versions) == (192, {"torch": "2.15.0"})
    assert counter(requested, Process()).everything() == third


def test_a_step_without_cells_is_skipped() -> None:
    process = Process()
    assert len(list(counter(cells("googlenet"), process).steps())) == 2
    assert [op for op, _ in process.requests] == ["count_networks", "count_graphs"]


def test_a_failed_request_raises_a_request_error() -> None:
    with pytest.raises(RequestError, match=r"^it raised$"):
        counter(cells("googlenet"), Failing()).everything()


@pytest.mark.parametrize("variables", [{}, {"PYTHONPATH": "theirs"}])
def test_the_current_directory_comes_after_the_users_python_path(
    variables: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    environment = count_client._environment({"HOME": "there", **variables})
    folders = [*variables.values(), str(tmp_path)]
    assert environment == {
        "HOME": "there",
        "OMP_NUM_THREADS": "1",
        "CUDA_VISIBLE_DEVICES": "",
        "PYTHONSAFEPATH": "1",
        "PYTHONPATH": os.pathsep.join(folders),
    }


def test_the_users_thread_and_gpu_variables_are_replaced() -> None:
    environment = count_client._environment({"OMP_NUM_THREADS": "8", "CUDA_VISIBLE_DEVICES": "0"})
    assert (environment["OMP_NUM_THREADS"], environment["CUDA_VISIBLE_DEVICES"]) == ("1", "")


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (WorkerError("request", "cannot count x: it raised", "noise"), "cannot count x: it raised"),
        (WorkerError("died", "it ended", "first\nlast"), "counting failed: it ended; last"),
        (WorkerError("timeout", "no answer"), "counting failed: no answer"),
    ],
)
def test_the_reason_for_missing_counts_is_one_line(error: WorkerError, line: str) -> None:
    assert count_client._reason(error) == line
