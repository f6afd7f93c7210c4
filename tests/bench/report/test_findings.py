import re
from dataclasses import replace

from bench.records.reported import Setup
from bench.report import findings, ladder_table
from bench.tables import escaped
from bench.units import counted
from tests.bench import runs
from tests.bench.report import rungs
from tests.bench.report.rendered import markdown


def sentences_of_ladder(**factors: float) -> str:
    (group,) = findings.find(rungs.ladder(("eager",), **factors))
    return "\n".join((*group.sentences, *group.not_shown))


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
        r"A 3×3 convolution in the 5×5 branch \(googlenet → googlenet-3x3; −400,000 parameters, "
        r"−80\.0 million MACs\): (9\.\d|10\.\d) % \([\d.]+–[\d.]+\) less latency in eager\.",
        sentences,
    )


def test_no_cell_is_called_faster_if_its_interval_contains_1() -> None:
    same = dict.fromkeys((name.replace("-", "_") for name in rungs.FACTORS), 1.0)
    sentences = sentences_of_ladder(**same)
    assert "less latency" not in sentences
    assert "more latency" not in sentences
    assert sentences.count(ladder_table.NOTHING_SHOWN) >= 3


def test_comparisons_without_a_difference_are_apart_from_the_others() -> None:
    (group,) = findings.find(rungs.ladder(("eager",), googlenet_pool2=1.0))
    assert not any(ladder_table.NOTHING_SHOWN in sentence for sentence in group.sentences)
    assert any("less latency in eager" in sentence for sentence in group.sentences)
    assert any("googlenet → googlenet-pool2" in sentence for sentence in group.not_shown)


def test_factors_without_an_interaction_are_apart_from_the_others() -> None:
    (group,) = findings.find(rungs.ladder())
    (sentence,) = (text for text in group.not_shown if "have not been shown to interact" in text)
    assert sentence.startswith("The factors of googlenet-3x3 and googlenet-pool2 ")
    assert not any("interact" in text for text in group.sentences)


def test_a_mode_without_an_effect_is_apart_from_the_others() -> None:
    run = rungs.ladder(("eager", "compile"))
    (group,) = findings.find(run)
    without = "compile has not been shown to change the speed of "
    assert [text.startswith(without) for text in group.not_shown].count(True) == 1
    assert not any("has not been shown" in sentence for sentence in group.sentences)


def test_comparisons_without_a_difference_are_folded_below_the_others() -> None:
    run = rungs.ladder(("eager",), googlenet_pool2=1.0)
    (group,) = findings.find(run)
    count = counted(len(group.not_shown), "comparison")
    text = markdown(run).partition("## Findings")[2]
    above, _, folded = text.partition(
        f"<details><summary>No difference shown: {count}</summary>\n\n"
    )
    assert all(f"- {escaped(sentence)}\n" in above for sentence in group.sentences)
    inside = folded.partition("\n\n</details>")[0]
    assert inside.splitlines() == [f"- {escaped(sentence)}" for sentence in group.not_shown]


def test_findings_that_all_show_a_difference_have_no_fold() -> None:
    assert not any(group.not_shown for group in findings.find(runs.small()))
    assert "No difference shown" not in markdown(runs.small())


def test_cells_of_two_waves_are_compared() -> None:
    (group,) = findings.find(rungs.in_waves(rungs.ladder(), "googlenet-3x3", "googlenet-pool2"))
    sentences = "\n".join(group.sentences)
    assert re.search(
        r"googlenet → googlenet-3x3; .*: (9\.\d|10\.\d) % \(.*\) less latency", sentences
    )
    assert not re.search(r"no significant difference from .*googlenet-3x3 in", sentences)
    assert ladder_table.NOT_TOGETHER not in sentences


def test_cells_that_cannot_be_compared_are_named() -> None:
    run = replace(rungs.in_waves(rungs.ladder(), "googlenet"), controls=())
    (group,) = findings.find(run)
    sentences = group.sentences
    assert f"; {ladder_table.NOT_TOGETHER} with it: googlenet in eager" in sentences[0]
    assert "no significant difference from googlenet in" not in sentences[0]
    step = next(text for text in sentences if "googlenet → googlenet-3x3" in text)
    assert step.endswith(f": {ladder_table.NOT_TOGETHER} in eager.")


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
