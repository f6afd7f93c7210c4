import pytest

from bench import energy
from bench.card import Around, Process, Reading
from tests.bench import runs

DONE = {"iterations": 50, "wall_s": 2.0625}
CELL = runs.cell("googlenet", batch_size=8)


def around(before_j: float | None, after_j: float | None, **after: object) -> Around:
    return Around(
        before=Reading(energy_j=before_j),
        after=Reading(energy_j=after_j, **after),  # type: ignore[arg-type]
    )


def test_a_window_s_energy_is_of_all_its_images() -> None:
    facts = energy.facts(around(1000.0, 1600.0), DONE, CELL, ())
    assert facts == {"energy_j": 600.0, "energy_images": 50 * 8, "energy_wall_s": 2.0625}
    assert energy.per_image_j([facts]) == 600.0 / 400


@pytest.mark.parametrize(("before_j", "after_j"), [(None, 1.0), (1.0, None), (1600.0, 1000.0)])
def test_a_counter_that_is_not_there_or_was_reset_gives_no_figure(
    before_j: float | None, after_j: float | None
) -> None:
    assert energy.facts(around(before_j, after_j), DONE, CELL, ()) == {}
    assert energy.per_image_j([{}]) is None


def test_a_window_is_void_for_what_voids_a_round() -> None:
    hot = around(1000.0, 1600.0, reasons=("sw_thermal",))
    assert energy.facts(hot, DONE, CELL, ()) == {"energy_voided": ["thermal"]}
    shared = around(1000.0, 1600.0, others=(Process(pid=7),))
    assert energy.facts(shared, DONE, CELL, ()) == {"energy_voided": ["foreign_device"]}
    assert energy.facts(shared, DONE, CELL, (7,))["energy_j"] == 600.0
    capped = around(1000.0, 1600.0, reasons=("power_cap",))
    assert energy.facts(capped, DONE, CELL, ())["energy_j"] == 600.0


def test_sets_count_by_their_images() -> None:
    setups: list[dict[str, object]] = [
        {"energy_j": 600.0, "energy_images": 400},
        {"energy_voided": ["thermal"]},
        {"energy_j": 300.0, "energy_images": 100},
    ]
    assert energy.per_image_j(setups) == 900.0 / 500
