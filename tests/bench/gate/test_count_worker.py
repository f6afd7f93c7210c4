import gc
import platform
from collections.abc import Iterator
from dataclasses import asdict
from functools import partial

import pytest

from bench.cells.cell import Cell
from bench.gate import count_worker, counts
from bench.names import RequestError

TINY, NET = "tests.bench.factories:tiny", "tests.bench.tiny:net"


def cell(arch: str, mode: str = "compile") -> Cell:
    return Cell(arch=arch, mode=mode, dtype="fp32", batch_size=1, task="infer", device="cpu")


@pytest.fixture
def in_this_process(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As where forking is not safe: this process has run operators, and has threads."""
    monkeypatch.setattr(platform, "system", lambda: "Darwin")
    yield
    gc.unfreeze()


@pytest.mark.usefixtures("in_this_process")
def test_it_is_asked_as_a_worker_is() -> None:
    cells = [cell(TINY), cell(NET), cell(TINY, mode="eager")]
    operations = count_worker.CountWorker().operations()
    asked = {"cells": [asdict(one) for one in cells], "image_size": 32}
    networks, graphs = operations["count_networks"](**asked), operations["count_graphs"](**asked)
    for same in ([cells[0], cells[2]], [cells[1]]):
        for name, found in counts.of_networks(same, 32).items():
            assert networks.pop(name) == found
        for name, found in counts.of_graphs(same, 32).items():
            assert graphs.pop(name) == found
    assert networks == graphs == {}
    assert gc.isenabled()


def test_a_network_that_fails_is_named() -> None:
    count = partial(count_worker._counted, counts.of_networks, 32)
    with pytest.raises(RequestError, match="RuntimeError: no such weights") as raised:
        count([cell("tests.bench.broken:raises_when_built")])
    assert str(raised.value).startswith("cannot count tests.bench.broken:raises_when_built: ")
