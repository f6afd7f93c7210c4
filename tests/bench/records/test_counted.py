from msgspec.structs import replace

from bench.records.counted import FIRST_COUNTER, counter, is_lower_bound, not_counted, notes_on
from bench.records.reported import ArchCost

COUNTED = ArchCost(macs_per_image=1_000)  # all that earlier files have


def test_count_without_caveats_has_no_notes() -> None:
    for cost in (ArchCost(), COUNTED):
        assert list(notes_on(cost)) == []
        assert not is_lower_bound(cost)
    assert not_counted({}) == ""


def test_each_caveat_has_a_note() -> None:
    cost = ArchCost(
        macs_per_image=1_000,
        uncounted={"aten::foo": 3, "mine::bar": 1},
        macs_on_other_images=2_000,
        fvcore_disagreements=("convolutions: …", "matrix products: …"),
    )
    bound, images, *fvcore = notes_on(cost)
    assert "plus 3 × aten::foo, 1 × mine::bar" in bound
    assert "1,000" in images
    assert "2,000" in images
    assert len(fvcore) == 2
    assert is_lower_bound(cost)


def test_reason_for_a_missing_count_is_noted() -> None:
    (note,) = notes_on(ArchCost(error="no such layer"))
    assert note.endswith("no such layer")


def test_counter_names_each_counter_once() -> None:
    new_cost = replace(COUNTED, counter="FlopCounterMode")
    assert counter([new_cost, new_cost, ArchCost(error="no such layer")]) == "FlopCounterMode"
    assert counter([COUNTED]) == FIRST_COUNTER
    assert counter([ArchCost()]) == ""
