import math
from dataclasses import replace

from bench.gate.group_sequential import Settings
from bench.studies.power import report
from bench.studies.power.cases import PROTOCOL, Case
from bench.studies.power.end_to_end import ARCH, GateRow
from tests.bench.studies.power.test_rates import row


def gate(mode: str, ratio: float, percent: float = 5.0, load: str = "quiet") -> GateRow:
    """Return a row of a gate with one cell; it ended with 1, or with 3 if the ratio is NaN."""
    return GateRow(
        began=f"{mode} {ratio}",
        load=load,
        protocol=PROTOCOL,
        percent=percent,
        amount=11,
        seconds=30.0,
        exit_code=3 if math.isnan(ratio) else 1,
        cell=f"{ARCH}/{mode}/fp32/b1/infer/cpu",
        verdict="regressed",
        sets=6,
        ratio=ratio,
        ratio_low=ratio,
        ratio_high=ratio,
        torch="2.11.0",
    )


def sentences(page: str) -> list[str]:
    return [line for line in page.splitlines() if line.startswith("- ")]


def test_slowdowns_of_different_modes_are_not_pooled() -> None:
    eager, other = (
        Case(mode=mode, kind="conv", percent=5.0) for mode in ("eager", "channels_last")
    )
    rows = [row(math.log(1.06), other)] * 6 + [row(math.log(1.01), eager)] * 6
    detected, missed = sentences(report.render("a machine", rows, [], Settings()))
    assert "5 % intended in channels_last and 6.0 % measured, quiet: found in 100% " in detected
    assert "1 of 1" in detected
    assert "5 % intended in eager and 1.0 % measured, below δ, quiet: found in 0% " in missed
    assert "0 of 2" in missed


def test_one_set_is_written_in_the_singular() -> None:
    case = Case(mode="eager", kind="conv", percent=5.0)
    alone = row(0.01, case)
    other = replace(alone, began="2026-01-02T00:00:00+00:00")
    assert "**Quiet, 1 set, " in report.render("a machine", [alone], [], Settings())
    assert "**Quiet, 2 sets, " in report.render("a machine", [alone, other], [], Settings())


def test_end_to_end_gates_are_pooled_by_mode() -> None:
    gates = [
        gate("eager", 1.02),
        gate("channels_last", 1.05),
        gate("eager", 1.08),
        gate("eager", math.nan, load="loaded"),
    ]
    page = report.render("a machine", [], gates, Settings())
    other, eager, loaded = sentences(page)
    assert "5 % intended in channels_last and 5.0 % measured: exit code 1 in 100% " in other
    share = math.sqrt(1.02 * 1.08) - 1
    assert f"5 % intended in eager and {100 * share:.1f} % measured: exit code 1 in 100% " in eager
    assert "2 of 2" in eager
    assert "loaded, 5 % intended in eager: exit code 1 in 0% " in loaded
    (heading,) = (line for line in page.splitlines() if line.startswith("| machine"))
    assert "measured %" in heading


def test_a_gate_of_several_cells_counts_once() -> None:
    cells = [
        replace(gate(mode, 1.0, percent=0.0), began="at once", exit_code=0)
        for mode in ("eager", "compile", "channels_last")
    ]
    alone = replace(gate("eager", 1.0, percent=0.0), exit_code=0)
    six, one = sentences(report.render("a machine", [], [*cells, alone], Settings()))
    assert "0 % intended in eager" in one
    assert "0 % intended in 3 cells" in six
    assert "1 of 1" in six
