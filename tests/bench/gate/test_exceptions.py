from datetime import date, timedelta

import pytest

from bench.errors import RequestError
from bench.gate import exceptions
from bench.gate.exceptions import Waiver
from tests.bench import runs

TODAY = date(2026, 11, 24)


def waiver(cells: str, delta: float = 0.1, expires: date = TODAY) -> Waiver:
    return Waiver(cells=cells, delta=delta, reason="slower", expires=expires)


def test_an_exception_applies_to_the_cells_that_it_matches() -> None:
    cells = (runs.EAGER, runs.COMPILED, runs.REFERENCE_EAGER)
    deltas = exceptions.deltas(
        (waiver("googlenet/*"), waiver("*/compile/*", 0.2)), cells, cells, TODAY
    )
    assert deltas == {runs.EAGER.id: 0.1, runs.COMPILED.id: 0.2}


def test_an_exception_is_valid_on_its_last_day_and_refused_on_the_next() -> None:
    last = TODAY - timedelta(days=1)
    waivers = (waiver("*", expires=last),)
    assert exceptions.deltas(waivers, (runs.EAGER,), (), last) == {runs.EAGER.id: 0.1}
    with pytest.raises(RequestError, match=rf"expired on {last}"):
        exceptions.deltas(waivers, (runs.EAGER,), (), TODAY)


def test_an_exception_that_matches_no_cell_is_refused_unless_the_settings_have_the_cell() -> None:
    waivers, cells = (waiver("googlenet/compile/*"),), (runs.EAGER,)
    with pytest.raises(RequestError, match=r"matches none of the 1 cell .* googlenet/eager"):
        exceptions.deltas(waivers, cells, (runs.REFERENCE_EAGER,), TODAY)
    assert exceptions.deltas(waivers, cells, (runs.COMPILED,), TODAY) == {}
