from typing import Any

import pytest

from bench.engine.wave import changed_code, wrong_answer


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        ((0, 0), None),
        ((2, 0), "it compiled 2 more graphs during the rounds"),
        ((0, 1), "it broke its graph 1 more times during the rounds"),
        ((3, 1), "it compiled 3 more graphs and broke its graph 1 more times during the rounds"),
    ],
)
def test_code_that_changed_during_the_rounds_is_a_failure(
    counts: tuple[int, int], message: str | None
) -> None:
    facts: dict[str, Any] = dict(
        zip(("recompiled_graphs", "late_graph_breaks"), counts, strict=True)
    )
    failure = changed_code(facts)
    if message is None:
        assert failure is None
    else:
        assert failure == {
            "kind": "recompiled",
            "message": f"{message}, so that they timed more than one program",
        }


def test_a_wrong_answer_after_the_rounds_is_a_failure() -> None:
    why = "the output has NaNs or infinities in it"
    assert wrong_answer({"late_wrong_answer": why}) == {
        "kind": "wrong_answer",
        "message": f"after the rounds {why}",
    }
    assert wrong_answer({"late_wrong_answer": None}) is None
    assert wrong_answer({}) is None  # from a base revision that does not check
