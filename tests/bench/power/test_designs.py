import numpy as np
import pytest

from bench.gate.judge import ALPHA, MISS, MOST_SETS
from bench.power import designs
from bench.power.designs import DELTA, DESIGNS, INCONCLUSIVE, NOISES, REGRESSED, UNCHANGED
from bench.power.rates import CELLS

PAGE = (designs.FILE).read_text(encoding="utf-8")
DRAWN = np.random.default_rng(3).standard_normal((2_000, CELLS, MOST_SETS))
KEPT_PROMISES = [name for name in DESIGNS if name != "borrowed variance"]


def test_student_at_the_gates_looks_says_what_the_gate_does() -> None:
    """Except where the gate trims an outlier, among eight sets or more."""
    sets = 0.02 * DRAWN[:300]
    sets[:, 0] += 0.05
    found, taken = DESIGNS["the gate's"](sets)
    drawn, drawn_taken = designs.in_looks(designs._ours(borrows=False), designs._LOOKS)(sets)
    assert ((found == drawn) & (taken == drawn_taken)).mean() > 0.98
    early = np.maximum(taken, drawn_taken) < 8
    assert early.mean() > 0.5
    assert (found == drawn)[early].all()


@pytest.mark.parametrize("name", KEPT_PROMISES)
def test_each_design_keeps_alpha(name: str) -> None:
    verdicts, _ = DESIGNS[name](DRAWN)
    assert (verdicts == REGRESSED).any(axis=1).mean() < 1.6 * ALPHA  # of 2,000 gates


@pytest.mark.parametrize("name", KEPT_PROMISES)
def test_each_design_lets_a_cell_slower_by_delta_pass_no_more_often_than_it_may(name: str) -> None:
    verdicts, _ = DESIGNS[name](DELTA + 0.01 * DRAWN)
    assert (verdicts == UNCHANGED).mean() < 1.05 * MISS


def test_borrowed_variance_breaks_alpha_where_one_cell_is_noisier_than_the_others() -> None:
    noises = np.array([0.08, *[0.005] * (CELLS - 1)])[None, :, None]
    verdicts, _ = DESIGNS["borrowed variance"](noises * DRAWN)
    assert (verdicts == REGRESSED).any(axis=1).mean() > 1.5 * ALPHA


def test_the_page_has_a_row_for_each_design_and_noise() -> None:
    small = designs.render(*designs.frames(20))
    for page in (PAGE, small):
        for name in DESIGNS:
            assert page.count(f"\n| {name} ") == len(NOISES) + 1
    prose, expected = (
        [line for line in page.splitlines() if not line.startswith("|")] for page in (PAGE, small)
    )
    assert prose == expected


def test_two_stages_confirm_a_flag_by_fresh_sets_once() -> None:
    slower = [0.05, 0.051, 0.049]
    late = [0.05, 0.09, 0.01, 0.05, 0.05]  # a flag at five sets, and not at three
    rows = [
        slower + slower + 10 * [-0.2],
        late + slower + 8 * [-0.2],
        slower + 13 * [0.0],
        16 * [0.0],
    ]
    sets = np.array(rows)[:, None, :] + 1e-4 * np.random.default_rng(0).standard_normal((4, 1, 16))
    verdicts, taken = designs.two_stages(np.repeat(sets, CELLS, axis=1))
    assert verdicts[:, 0].tolist() == [REGRESSED, REGRESSED, INCONCLUSIVE, UNCHANGED]
    assert taken[:2, 0].tolist() == [6, 8]
