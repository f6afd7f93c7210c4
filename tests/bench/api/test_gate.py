from collections.abc import Sequence
from dataclasses import replace

import pytest

from bench.api.gate import HEAD_CHANGED, exit_code
from tests.bench import runs
from tests.bench.gate import gates


@pytest.mark.parametrize(
    ("ratios", "code", "code_if_allowed"),
    [
        (gates.SAME, 0, 0),
        (gates.FASTER, 0, 0),
        (gates.SLOWER, 1, 1),
        (gates.UNCLEAR, 3, 0),
    ],
)
def test_only_an_inconclusive_gate_may_be_allowed(
    ratios: Sequence[float], code: int, code_if_allowed: int
) -> None:
    gate = gates.gate({runs.EAGER: ratios})
    assert exit_code(gate, allow_inconclusive=False) == code
    assert exit_code(gate, allow_inconclusive=True) == code_if_allowed


@pytest.mark.parametrize("ratios", [gates.SAME, gates.SLOWER, gates.UNCLEAR])
def test_a_gate_that_was_cut_off_or_whose_head_changed_decides_nothing(
    ratios: Sequence[float],
) -> None:
    gate = gates.gate({runs.EAGER: ratios})
    interrupted = replace(gate, run=replace(gate.run, status="interrupted"))
    changed = replace(gate, run=replace(gate.run, notes=(HEAD_CHANGED,)))
    for each in (interrupted, changed):
        assert exit_code(each, allow_inconclusive=True) == 2
