import os
from pathlib import Path
from typing import Any, cast

import pytest

from bench.cells.cell import Cell
from bench.engine.process import WorkerError, WorkerProcess
from bench.gate import count_client
from bench.gate.baseline import Counts
from bench.names import RequestError


class Process:
    """Stands for a counter: it counts 1 of what it is asked for."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, list[str]]] = []
        self.image_sizes: set[int] = set()

    def request(self, op: str, **arguments: Any) -> dict[str, Counts]:
        ids = [Cell(**cell).id for cell in arguments["cells"]]
        self.asked.append((op, ids))
        self.image_sizes.add(arguments["image_size"])
        return {name: {op: 1} for name in ids}


class Failing:
    def request(self, _op: str, **_arguments: Any) -> dict[str, Counts]:
        raise WorkerError("request", "it raised")


def cells(*archs: str) -> list[Cell]:
    return [
        Cell(arch=arch, mode="eager", dtype="fp32", batch_size=1, task="infer", device="cpu")
        for arch in archs
    ]


def counter(asked: list[Cell], process: object) -> count_client.CountClient:
    return count_client.CountClient(
        cells=asked,
        image_size=192,
        versions={"torch": "2.15.0"},
        process=cast(WorkerProcess, process),
    )


def test_what_needs_torch_alone_is_counted_first_and_graphs_last() -> None:
    process = Process()
    asked = cells("torchvision", "googlenet", "torchvision:resnet18", "tests.bench.tiny:net")
    tv, ours, resnet, tiny = (cell.id for cell in asked)
    first, second, third = counter(asked, process).steps()
    assert process.asked == [
        ("count_networks", [ours, tiny]),
        ("count_networks", [tv, resnet]),
        ("count_graphs", [tv, ours, resnet, tiny]),
    ]
    assert process.image_sizes == {192}
    assert list(first.cells) == [ours, tiny]
    assert list(second.cells) == list(third.cells) == [tv, ours, resnet, tiny]
    assert set(second.cells[ours]) == {"count_networks"}
    assert third.cells[ours] == {"count_networks": 1, "count_graphs": 1}
    assert (third.image_size, third.versions) == (192, {"torch": "2.15.0"})
    assert counter(asked, Process()).everything() == third


def test_no_step_is_for_nothing() -> None:
    process = Process()
    assert len(list(counter(cells("googlenet"), process).steps())) == 2
    assert [op for op, _ in process.asked] == ["count_networks", "count_graphs"]


def test_what_cannot_be_counted_is_a_wrong_request() -> None:
    with pytest.raises(RequestError, match=r"^it raised$"):
        counter(cells("googlenet"), Failing()).everything()


@pytest.mark.parametrize("given", [{}, {"PYTHONPATH": "theirs"}])
def test_the_current_directory_comes_after_what_is_given(
    given: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    found = count_client._environment({"HOME": "there", **given})
    places = [*given.values(), str(tmp_path)]
    assert found == {
        "HOME": "there",
        "OMP_NUM_THREADS": "1",
        "CUDA_VISIBLE_DEVICES": "",
        "PYTHONSAFEPATH": "1",
        "PYTHONPATH": os.pathsep.join(places),
    }


def test_your_own_settings_give_way() -> None:
    found = count_client._environment({"OMP_NUM_THREADS": "8", "CUDA_VISIBLE_DEVICES": "0"})
    assert (found["OMP_NUM_THREADS"], found["CUDA_VISIBLE_DEVICES"]) == ("1", "")


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (WorkerError("request", "cannot count x: it raised", "noise"), "cannot count x: it raised"),
        (WorkerError("died", "it ended", "first\nlast"), "counting failed: it ended; last"),
        (WorkerError("timeout", "no answer"), "counting failed: no answer"),
    ],
)
def test_why_there_are_no_counts_is_a_line(error: WorkerError, line: str) -> None:
    assert count_client._reason(error) == line
