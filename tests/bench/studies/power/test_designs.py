import numpy as np
import pytest

from bench.gate.group_sequential import ALPHA, MISS, MOST_SETS
from bench.studies.power import designs
from bench.studies.power.designs import DELTA, DESIGNS, INCONCLUSIVE, NOISES, REGRESSED, UNCHANGED
from bench.studies.power.rates import CELLS

PAGE = (designs.FILE).read_text(encoding="utf-8")
SETS = np.random.default_rng(3).standard_normal((2_000, CELLS, MOST_SETS))
VALID_DESIGNS = [name for name in DESIGNS if name != "borrowed variance"]


def test_student_at_the_gates_looks_agrees_with_the_gate() -> None:
    """They differ only when the gate trims an outlier, with eight sets or more."""
    sets = 0.02 * SETS[:300]
    sets[:, 0] += 0.05
    verdicts, taken = DESIGNS["the gate's"](sets)
    student, student_taken = designs.at_looks(designs._student(borrows=False), designs._LOOKS)(sets)
    assert ((verdicts == student) & (taken == student_taken)).mean() > 0.98
    early = np.maximum(taken, student_taken) < 8
    assert early.mean() > 0.5
    assert (verdicts == student)[early].all()


@pytest.mark.parametrize("name", VALID_DESIGNS)
def test_each_design_keeps_its_false_alarms_within_alpha(name: str) -> None:
    verdicts, _ = DESIGNS[name](SETS)
    assert (verdicts == REGRESSED).any(axis=1).mean() < 1.6 * ALPHA  # of 2,000 gates


@pytest.mark.parametrize("name", VALID_DESIGNS)
def test_each_design_rarely_calls_a_cell_slower_by_delta_unchanged(name: str) -> None:
    verdicts, _ = DESIGNS[name](DELTA + 0.01 * SETS)
    assert (verdicts == UNCHANGED).mean() < 1.05 * MISS


def test_borrowed_variance_exceeds_alpha_if_one_cell_is_noisier_than_the_others() -> None:
    noises = np.array([0.08, *[0.005] * (CELLS - 1)])[None, :, None]
    verdicts, _ = DESIGNS["borrowed variance"](noises * SETS)
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


def test_two_stages_confirm_a_flag_once_on_fresh_sets() -> None:
    slower = [0.05, 0.051, 0.049]
    late = [0.05, 0.09, 0.01, 0.05, 0.05]  # flagged at five sets but not at three
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
