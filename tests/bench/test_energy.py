import math

import pytest

from bench import energy
from bench.machine.card import Around, CardProcess, CardReading
from tests.bench import runs

DONE = {"iterations": 50, "wall_s": 2.0625}
CELL = runs.cell("googlenet", batch_size=8)


def around(before_j: float | None, after_j: float | None, **after: object) -> Around:
    return Around(
        before=CardReading(energy_j=before_j),
        after=CardReading(energy_j=after_j, **after),  # type: ignore[arg-type]
    )


def test_a_window_s_energy_is_of_all_its_images() -> None:
    facts = energy.facts(around(1000.0, 1600.0), DONE, CELL, (), 3)
    assert facts == {
        "energy_j": 600.0,
        "energy_images": 50 * 8,
        "energy_wall_s": 2.0625,
        "energy_set": 3,
    }
    assert energy.per_image_j([facts]).estimate == pytest.approx(600.0 / 400)


@pytest.mark.parametrize(("before_j", "after_j"), [(None, 1.0), (1.0, None), (1600.0, 1000.0)])
def test_a_counter_that_is_not_there_or_was_reset_gives_no_figure(
    before_j: float | None, after_j: float | None
) -> None:
    assert energy.facts(around(before_j, after_j), DONE, CELL, (), 3) == {}
    assert energy.per_image_j([{}]).sets == 0


def test_a_window_is_void_for_what_voids_a_round() -> None:
    hot = around(1000.0, 1600.0, reasons=("sw_thermal",))
    assert energy.facts(hot, DONE, CELL, (), 3) == {"energy_voided": ["thermal"]}
    shared = around(1000.0, 1600.0, others=(CardProcess(pid=7),))
    assert energy.facts(shared, DONE, CELL, (), 3) == {"energy_voided": ["foreign_device"]}
    assert energy.facts(shared, DONE, CELL, (7,), 3)["energy_j"] == 600.0
    capped = around(1000.0, 1600.0, reasons=("power_cap",))
    assert energy.facts(capped, DONE, CELL, (), 3)["energy_j"] == 600.0


def window(set_index: int, per_image_j: float) -> dict[str, object]:
    return {"energy_j": 100 * per_image_j, "energy_images": 100, "energy_set": set_index}


def test_each_set_counts_once_with_an_interval_over_them() -> None:
    found = energy.per_image_j(
        [window(0, 1.0), window(0, 4.0), {"energy_voided": ["thermal"]}, window(1, 8.0)]
    )
    # The median of a set's logarithms, 2 J and 8 J; Student's t of one degree of freedom.
    assert found.sets == 2
    assert found.estimate == pytest.approx(4.0)
    assert found.high == pytest.approx(4.0 * math.exp(12.7062047 * math.log(2)))
    assert found.low * found.high == pytest.approx(16.0)


def test_windows_of_files_that_do_not_say_the_set_are_sets_of_their_own() -> None:
    old = [{"energy_j": 600.0, "energy_images": 400}, {"energy_j": 300.0, "energy_images": 200}]
    assert energy.per_image_j(old).sets == 2


def test_a_counter_that_stood_still_gives_no_figure() -> None:
    assert energy.per_image_j([window(0, 0.0)]).sets == 0
