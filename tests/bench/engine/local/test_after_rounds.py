import pytest
from msgspec.structs import replace

from bench.engine.local.after_rounds import changed_code, wrong_answer
from bench.worker.protocol import Finished

FINISHED = Finished(
    peak_resident_bytes=9,
    peak_allocated_bytes=None,
    peak_reserved_bytes=None,
    peak_memory_bytes=None,
    memory_is_reserved=False,
    recompiled_in_warm_up=0,
    recompiled_graphs=0,
    late_graph_breaks=0,
    late_wrong_answer=None,
)


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        ((0, 0), None),
        ((2, 0), "it compiled 2 more graphs during the rounds"),
        ((1, 0), "it compiled 1 more graph during the rounds"),
        ((0, 1), "it broke its graph 1 more time during the rounds"),
        ((3, 1), "it compiled 3 more graphs and broke its graph 1 more time during the rounds"),
    ],
)
def test_code_that_changed_during_the_rounds_is_a_failure(
    counts: tuple[int, int], message: str | None
) -> None:
    recompiled, breaks = counts
    failure = changed_code(
        replace(FINISHED, recompiled_graphs=recompiled, late_graph_breaks=breaks)
    )
    if message is None:
        assert failure is None
    else:
        assert failure == {
            "kind": "recompiled",
            "message": f"{message}, so that they timed more than one program",
        }


def test_a_wrong_answer_after_the_rounds_is_a_failure() -> None:
    why = "the output has NaNs or infinities in it"
    assert wrong_answer(replace(FINISHED, late_wrong_answer=why)) == {
        "kind": "wrong_answer",
        "message": f"after the rounds {why}",
    }
    assert wrong_answer(FINISHED) is None
