import gc
import platform
from collections.abc import Iterator
from functools import partial

import pytest

from bench.cells.cell import Cell
from bench.counts import count_worker, counting
from bench.counts.protocol import CountGraphs, CountNetworks
from bench.errors import RequestError

TINY, NET = "tests.bench.factories:tiny", "tests.bench.tiny:net"


def cell(arch: str, mode: str = "compile") -> Cell:
    return Cell(arch=arch, mode=mode, dtype="fp32", batch_size=1, task="infer", device="cpu")


@pytest.fixture
def in_this_process(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Count in this process, as on a system where forking is not safe.

    This process has run operators and has threads.
    """
    monkeypatch.setattr(platform, "system", lambda: "Darwin")
    yield
    gc.unfreeze()


@pytest.mark.usefixtures("in_this_process")
def test_its_operations_count_like_the_functions_of_counts() -> None:
    cells = [cell(TINY), cell(NET), cell(TINY, mode="eager")]
    operations = count_worker.CountWorker().operations()
    networks, graphs = (
        dict(operations[kind](kind(cells=tuple(cells), image_size=32)))  # type: ignore[call-overload]
        for kind in (CountNetworks, CountGraphs)
    )
    for same_arch in ([cells[0], cells[2]], [cells[1]]):
        for name, expected in counting.count_networks(same_arch, 32).items():
            assert networks.pop(name) == expected
        for name, expected in counting.count_graphs(same_arch, 32).items():
            assert graphs.pop(name) == expected
    assert networks == graphs == {}
    assert gc.isenabled()


def test_the_error_names_the_network_that_fails() -> None:
    count = partial(
        count_worker._count_arch,
        counting.count_networks,
        CountNetworks(cells=(), image_size=32),
    )
    with pytest.raises(RequestError, match="RuntimeError: no such weights") as raised:
        count([cell("tests.bench.broken:raises_when_built")])
    assert str(raised.value).startswith("cannot count tests.bench.broken:raises_when_built: ")
