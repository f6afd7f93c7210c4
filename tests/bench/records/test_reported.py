import pytest

from bench.records.reported import Setup
from bench.worker.protocol import Finished, Prepared


@pytest.mark.parametrize("reply", [Prepared, Finished])
def test_every_field_of_a_reply_is_stored(reply: type[Prepared] | type[Finished]) -> None:
    assert set(reply.__struct_fields__) <= set(Setup.__struct_fields__)


def test_later_facts_are_added_to_earlier_ones() -> None:
    first = Setup(graphs=1, build_s=0.5, memory_is_reserved=True)
    assert first.merged(Setup(recompiled_graphs=0, build_s=0.25)) == Setup(
        graphs=1, build_s=0.25, recompiled_graphs=0, memory_is_reserved=True
    )
