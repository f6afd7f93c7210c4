import math

import pytest

from bench import energy
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
    assert energy.per_image_j([facts]).estimate == pytest.approx(600.0 / 400)


@pytest.mark.parametrize(("before_j", "after_j"), [(None, 1.0), (1.0, None), (1600.0, 1000.0)])
def test_a_missing_or_reset_counter_gives_no_figure(
    before_j: float | None, after_j: float | None
) -> None:
    assert energy.facts(around(before_j, after_j), REPLY, CELL, (), 3) == Setup()
    assert energy.per_image_j([Setup()]).sets == 0


def test_a_window_is_voided_for_the_same_reasons_as_a_round() -> None:
    hot = around(1000.0, 1600.0, reasons=("sw_thermal",))
    assert energy.facts(hot, REPLY, CELL, (), 3) == Setup(energy_voided=("thermal",))
    shared = around(1000.0, 1600.0, others=(CardProcess(pid=7),))
    assert energy.facts(shared, REPLY, CELL, (), 3) == Setup(energy_voided=("foreign_device",))
    assert energy.facts(shared, REPLY, CELL, (7,), 3).energy_j == 600.0
    capped = around(1000.0, 1600.0, reasons=("power_cap",))
    assert energy.facts(capped, REPLY, CELL, (), 3).energy_j == 600.0


def window(set_index: int, per_image_j: float) -> Setup:
    return Setup(energy_j=100 * per_image_j, energy_images=100, energy_set=set_index)


def test_each_set_counts_once_and_the_interval_is_over_sets() -> None:
    result = energy.per_image_j(
        [window(0, 1.0), window(0, 4.0), Setup(energy_voided=("thermal",)), window(1, 8.0)]
    )
    # The medians of the logarithms per set, 2 J and 8 J; Student's t with one degree of freedom.
    assert result.sets == 2
    assert result.estimate == pytest.approx(4.0)
    assert result.high == pytest.approx(4.0 * math.exp(12.7062047 * math.log(2)))
    assert result.low * result.high == pytest.approx(16.0)


def test_each_window_counts_as_a_set_if_the_file_does_not_record_sets() -> None:
    old = [
        Setup(energy_j=600.0, energy_images=400),
        Setup(energy_j=300.0, energy_images=200),
    ]
    assert energy.per_image_j(old).sets == 2


def test_a_counter_that_did_not_change_gives_no_figure() -> None:
    assert energy.per_image_j([window(0, 0.0)]).sets == 0
