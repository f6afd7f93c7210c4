import re
from dataclasses import replace

from bench.report import findings, ladder
from tests.bench import runs
from tests.bench.report import rungs


def of_ladder(**factors: float) -> str:
    (found,) = findings.find(rungs.ladder(("eager",), **factors))
    return "\n".join(found.sentences)


def test_the_fastest_is_named_with_those_it_cannot_be_told_from() -> None:
    said = of_ladder(torchvision=rungs.THREE * rungs.POOL * 0.9999)
    fastest = said.splitlines()[0]
    first = re.match(r"(\S+) in eager has the lowest latency, [\d.]+ \([\d.]+–[\d.]+\) ms", fastest)
    assert first
    pair = {"torchvision", "googlenet-3x3-pool2"}
    (other,) = pair - {first[1]}
    assert f"not told apart from it: {other} in eager." in fastest


def test_a_factor_is_told_with_its_counts_and_interval() -> None:
    said = of_ladder()
    assert re.search(
        r"A 3×3 convolution in the 5×5 branch \(googlenet → googlenet-3x3; -400,000 parameters, "
        r"-80\.0 million MACs\): (9\.\d|10\.\d) % \([\d.]+–[\d.]+\) less latency in eager\.",
        said,
    )


def test_nothing_is_called_faster_whose_interval_contains_1() -> None:
    same = dict.fromkeys((name.replace("-", "_") for name in rungs.FACTORS), 1.0)
    said = of_ladder(**same)
    assert "less latency" not in said
    assert "more latency" not in said
    assert said.count(ladder.NOTHING_SHOWN) >= 3


def test_cells_of_two_waves_are_told_from_each_other() -> None:
    (found,) = findings.find(rungs.in_waves(rungs.ladder(), "googlenet-3x3", "googlenet-pool2"))
    said = "\n".join(found.sentences)
    assert re.search(r"googlenet → googlenet-3x3; .*: (9\.\d|10\.\d) % \(.*\) less latency", said)
    assert not re.search(r"not told apart from it: .*googlenet-3x3 in", said)
    assert ladder.NOT_TOGETHER not in said


def test_nothing_is_said_of_cells_that_nothing_compares() -> None:
    run = replace(rungs.in_waves(rungs.ladder(), "googlenet"), controls=())
    (found,) = findings.find(run)
    said = found.sentences
    assert f"; {ladder.NOT_TOGETHER} with it: googlenet in eager" in said[0]
    assert "not told apart from it: googlenet in" not in said[0]
    step = next(one for one in said if "googlenet → googlenet-3x3" in one)
    assert step.endswith(f": {ladder.NOT_TOGETHER} in eager.")


def test_two_peoples_code_of_one_network_is_the_check_on_ourselves() -> None:
    said = of_ladder()
    assert "are the same network in two people's code" in said
    assert "which is a difference" not in said


def test_a_difference_between_them_says_where_to_look() -> None:
    run = rungs.ladder(torchvision=rungs.THREE * rungs.POOL * 1.2)
    cells = tuple(
        replace(record, setups=({"graphs": 3, "peak_memory_bytes": 70 * 2**20},))
        if record.cell.arch == "torchvision"
        else replace(record, setups=({"graphs": 1, "peak_memory_bytes": 50 * 2**20},))
        for record in run.cells
    )
    (found,) = findings.find(replace(run, cells=cells))
    said = found.sentences[-1]
    assert (
        "in eager, torchvision being slower, which is a difference: parameters and MACs are the "
        "same, but not graphs (1 and 3)" in said
    )
    assert "peak bytes" not in said  # on a CPU they are never twice the same


def test_a_run_of_one_set_says_so_in_place_of_intervals() -> None:
    run = rungs.ladder()
    once = tuple(
        replace(record, visits=tuple(v for v in record.visits if v.set_index == 0))
        for record in run.cells
    )
    (found,) = findings.find(replace(run, cells=once))
    said = "\n".join(found.sentences)
    assert "nan" not in said
    assert "(of 1 set)" in said
    assert "interact" not in said


def test_each_group_has_findings_of_its_own() -> None:
    found = findings.find(runs.small())
    assert [one.title for one in found] == [
        "fp32, batch 1, infer, cpu",
        "fp32, batch 8, infer, cpu",
    ]
    assert all(one.sentences for one in found)


def test_one_cell_alone_is_no_finding() -> None:
    run = replace(runs.small(), cells=(runs.measured(runs.EAGER),), controls=())
    assert findings.find(run) == ()
