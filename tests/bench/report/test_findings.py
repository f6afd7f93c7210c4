import re
from dataclasses import replace

from bench.records.reported import Setup
from bench.report import findings, ladder
from tests.bench import runs
from tests.bench.report import rungs


def sentences_of_ladder(**factors: float) -> str:
    (group,) = findings.find(rungs.ladder(("eager",), **factors))
    return "\n".join(group.sentences)


def test_the_fastest_cell_is_named_with_those_not_significantly_different() -> None:
    sentences = sentences_of_ladder(torchvision=rungs.THREE * rungs.POOL * 0.9999)
    fastest = sentences.splitlines()[0]
    first = re.match(r"(\S+) in eager has the lowest latency, [\d.]+ \([\d.]+–[\d.]+\) ms", fastest)
    assert first
    pair = {"torchvision", "googlenet-3x3-pool2"}
    (other,) = pair - {first[1]}
    assert f"no significant difference from {other} in eager." in fastest


def test_a_factor_is_reported_with_its_counts_and_interval() -> None:
    sentences = sentences_of_ladder()
    assert re.search(
        r"A 3×3 convolution in the 5×5 branch \(googlenet → googlenet-3x3; -400,000 parameters, "
        r"-80\.0 million MACs\): (9\.\d|10\.\d) % \([\d.]+–[\d.]+\) less latency in eager\.",
        sentences,
    )


def test_no_cell_is_called_faster_if_its_interval_contains_1() -> None:
    same = dict.fromkeys((name.replace("-", "_") for name in rungs.FACTORS), 1.0)
    sentences = sentences_of_ladder(**same)
    assert "less latency" not in sentences
    assert "more latency" not in sentences
    assert sentences.count(ladder.NOTHING_SHOWN) >= 3


def test_cells_of_two_waves_are_compared() -> None:
    (group,) = findings.find(rungs.in_waves(rungs.ladder(), "googlenet-3x3", "googlenet-pool2"))
    sentences = "\n".join(group.sentences)
    assert re.search(
        r"googlenet → googlenet-3x3; .*: (9\.\d|10\.\d) % \(.*\) less latency", sentences
    )
    assert not re.search(r"no significant difference from .*googlenet-3x3 in", sentences)
    assert ladder.NOT_TOGETHER not in sentences


def test_cells_that_cannot_be_compared_are_named() -> None:
    run = replace(rungs.in_waves(rungs.ladder(), "googlenet"), controls=())
    (group,) = findings.find(run)
    sentences = group.sentences
    assert f"; {ladder.NOT_TOGETHER} with it: googlenet in eager" in sentences[0]
    assert "no significant difference from googlenet in" not in sentences[0]
    step = next(text for text in sentences if "googlenet → googlenet-3x3" in text)
    assert step.endswith(f": {ladder.NOT_TOGETHER} in eager.")


def test_two_implementations_of_one_network_are_compared() -> None:
    sentences = sentences_of_ladder()
    assert "are two implementations of the same network" in sentences
    assert "torchvision is" not in sentences


def test_a_difference_between_implementations_names_the_differing_counts() -> None:
    run = rungs.ladder(torchvision=rungs.THREE * rungs.POOL * 1.2)
    cells = tuple(
        replace(record, setups=(Setup(graphs=3, peak_memory_bytes=70 * 2**20),))
        if record.cell.arch == "torchvision"
        else replace(record, setups=(Setup(graphs=1, peak_memory_bytes=50 * 2**20),))
        for record in run.cells
    )
    (group,) = findings.find(replace(run, cells=cells))
    sentence = group.sentences[-1]
    assert (
        "in eager: torchvision is slower (parameters and MACs are equal; these differ: graphs (1 "
        "and 3))" in sentence
    )
    assert "peak bytes" not in sentence  # on a CPU they differ from run to run


def test_a_run_with_one_set_has_the_number_of_sets_in_place_of_intervals() -> None:
    run = rungs.ladder()
    once = tuple(
        replace(record, visits=tuple(v for v in record.visits if v.set_index == 0))
        for record in run.cells
    )
    (group,) = findings.find(replace(run, cells=once))
    sentences = "\n".join(group.sentences)
    assert "nan" not in sentences
    assert "(1 set)" in sentences
    assert "interact" not in sentences


def test_each_group_has_its_own_findings() -> None:
    groups = findings.find(runs.small())
    assert [group.title for group in groups] == [
        "fp32, batch 1, infer, cpu",
        "fp32, batch 8, infer, cpu",
    ]
    assert groups[0].sentences != groups[1].sentences


def test_a_single_cell_has_no_findings() -> None:
    run = replace(runs.small(), cells=(runs.measured(runs.EAGER),), controls=())
    assert findings.find(run) == ()
