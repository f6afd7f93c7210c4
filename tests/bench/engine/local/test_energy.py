import pytest

from bench import stats
from bench.engine.local import energy
from bench.machine.card import Around, CardProcess, CardReading
from bench.records.reported import Setup
from bench.worker.protocol import Sustained
from tests.bench import runs

REPLY = Sustained(iterations=50, wall_s=2.0625)
CELL = runs.cell("googlenet", batch_size=8)


def around(before_j: float | None, after_j: float | None, **after: object) -> Around:
    return Around(
        before=CardReading(energy_j=before_j),
        after=CardReading(energy_j=after_j, **after),  # type: ignore[arg-type]
    )


def test_the_energy_of_a_window_is_divided_by_all_its_images() -> None:
    facts = energy.facts(around(1000.0, 1600.0), REPLY, CELL, (), 3)
    assert facts == Setup(energy_j=600.0, energy_images=50 * 8, energy_wall_s=2.0625, energy_set=3)
    assert stats.energy_per_image_j([facts]).estimate == pytest.approx(600.0 / 400)


@pytest.mark.parametrize(("before_j", "after_j"), [(None, 1.0), (1.0, None), (1600.0, 1000.0)])
def test_a_missing_or_reset_counter_gives_no_figure(
    before_j: float | None, after_j: float | None
) -> None:
    assert energy.facts(around(before_j, after_j), REPLY, CELL, (), 3) == Setup()
    assert stats.energy_per_image_j([Setup()]).sets == 0


def test_a_window_is_voided_for_the_same_reasons_as_a_round() -> None:
    hot = around(1000.0, 1600.0, reasons=("sw_thermal",))
    assert energy.facts(hot, REPLY, CELL, (), 3) == Setup(energy_voided=("thermal",))
    shared = around(1000.0, 1600.0, others=(CardProcess(pid=7),))
    assert energy.facts(shared, REPLY, CELL, (), 3) == Setup(energy_voided=("foreign_device",))
    assert energy.facts(shared, REPLY, CELL, (7,), 3).energy_j == 600.0
    capped = around(1000.0, 1600.0, reasons=("power_cap",))
    assert energy.facts(capped, REPLY, CELL, (), 3).energy_j == 600.0
