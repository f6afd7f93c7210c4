import pytest

from bench.stages import figures
from bench.stages.figures import SetFigures, StageVisit


def visit(whole_s: tuple[float, ...], hooked_s: tuple[float, ...], **stages: float) -> StageVisit:
    return StageVisit(
        whole_s=whole_s,
        hooked_s=hooked_s,
        pair_s=whole_s[0] / 1024,
        parts_s={(name, ""): (seconds,) * len(whole_s) for name, seconds in stages.items()},
    )


def test_figures_are_medians_over_all_visits() -> None:
    result = figures.summarize(
        [
            visit((1.0, 8.0), (1.5, 9.0), stem=0.25, head=0.5),
            visit((2.0,), (2.25,), stem=0.75, head=0.5),
        ]
    )
    assert result.whole_s == 2.0  # median of 1, 8 and 2
    assert result.hooks_s == 0.5  # median of 0.5, 1 and 0.25
    assert result.pair_s == (1.0 + 2.0) / 2 / 1024
    assert result.parts_s == {("stem", ""): 0.25, ("head", ""): 0.5}


def test_hook_cost_is_the_difference_to_the_paired_forward_without_hooks() -> None:
    drifting = visit((1.0, 2.0, 4.0), (1.25, 2.25, 4.25), stem=0.5)
    assert figures.summarize([drifting]).hooks_s == 0.25


@pytest.mark.parametrize(("whole_s", "gap_s"), [(1.0, 0.25), (0.5, -0.25)])
def test_gap_is_the_time_outside_all_stages(whole_s: float, gap_s: float) -> None:
    result = SetFigures(
        whole_s=whole_s,
        hooks_s=0.0,
        pair_s=0.0,
        parts_s={("3a", ""): 0.5, ("3a", "1×1"): 0.125, ("head", ""): 0.25},
    )
    assert result.stages_s == 0.75
    assert result.gap_s == gap_s


def test_unpaired_forward_is_an_error() -> None:
    with pytest.raises(ValueError, match="shorter"):
        figures.summarize([visit((1.0, 1.0), (1.0,), stem=0.5)])
