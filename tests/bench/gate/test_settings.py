from datetime import date, timedelta
from pathlib import Path

import pytest

from bench.gate import group_sequential, settings
from bench.gate.settings import GateTable, Waiver
from bench.names import RequestError
from tests.bench import runs

TODAY = date(2026, 11, 24)
EXAMPLE = """
[tool.googlenet-bench.gate]
archs = ["googlenet", "torchvision:resnet18"]
batch-sizes = [1, 8]
delta = 0.05
most-sets = 9
budget = 600

[[tool.googlenet-bench.gate.exceptions]]
cells = "googlenet/compile/*"
delta = 0.10
reason = "fused later"
expires = 2027-03-31
"""


def waiver(cells: str, delta: float = 0.1, expires: date = TODAY) -> Waiver:
    return Waiver(cells=cells, delta=delta, reason="slower", expires=expires)


def read(folder: Path, text: str) -> GateTable:
    (folder / settings.FILE).write_text(text)
    return settings.read(folder)


def test_settings_are_read_from_the_file(tmp_path: Path) -> None:
    assert read(tmp_path, EXAMPLE) == GateTable(
        archs=("googlenet", "torchvision:resnet18"),
        batch_sizes=(1, 8),
        delta=0.05,
        most_sets=9,
        budget=600.0,
        exceptions=(
            Waiver(
                cells="googlenet/compile/*",
                delta=0.1,
                reason="fused later",
                expires=date(2027, 3, 31),
            ),
        ),
    )


@pytest.mark.parametrize("text", [None, "", "[tool.other]\ndelta = 9"])
def test_without_a_table_the_defaults_apply(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / settings.FILE).write_text(text)
    table = settings.read(tmp_path)
    assert table == GateTable()
    assert (table.delta, table.alpha, table.most_sets) == (
        group_sequential.LEAST_EFFECT,
        group_sequential.ALPHA,
        group_sequential.MOST_SETS,
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[tool.googlenet-bench.gate]\ndleta = 1", "unknown field `dleta`"),
        ('[tool.googlenet-bench.gate]\ndelta = "much"', "Expected `float`, got `str`"),
        ('[tool.googlenet-bench.gate]\narchs = "googlenet"', "Expected `array"),
        ("[tool.googlenet-bench]\ngate = 3", "Expected `object`, got `int`"),
        ("[tool", "cannot read"),
        (EXAMPLE.replace('"fused later"', '""'), "length >= 1"),
        (EXAMPLE.replace("reason", "because"), "because"),
    ],
)
def test_an_invalid_file_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        read(tmp_path, text)


def test_an_exception_applies_to_the_cells_that_it_matches() -> None:
    cells = (runs.EAGER, runs.COMPILED, runs.REFERENCE_EAGER)
    deltas = settings.deltas(
        (waiver("googlenet/*"), waiver("*/compile/*", 0.2)), cells, cells, TODAY
    )
    assert deltas == {runs.EAGER.id: 0.1, runs.COMPILED.id: 0.2}


def test_an_exception_is_valid_on_its_last_day_and_refused_on_the_next() -> None:
    last = TODAY - timedelta(days=1)
    exceptions = (waiver("*", expires=last),)
    assert settings.deltas(exceptions, (runs.EAGER,), (), last) == {runs.EAGER.id: 0.1}
    with pytest.raises(RequestError, match=rf"expired on {last}"):
        settings.deltas(exceptions, (runs.EAGER,), (), TODAY)


def test_an_exception_that_matches_no_cell_is_refused_unless_the_settings_have_the_cell() -> None:
    exceptions, cells = (waiver("googlenet/compile/*"),), (runs.EAGER,)
    with pytest.raises(RequestError, match=r"matches none of the 1 cell .* googlenet/eager"):
        settings.deltas(exceptions, cells, (runs.REFERENCE_EAGER,), TODAY)
    assert settings.deltas(exceptions, cells, (runs.COMPILED,), TODAY) == {}
