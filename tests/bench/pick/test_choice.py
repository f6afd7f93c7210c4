from dataclasses import replace

import msgspec
import pandas as pd
import pytest

from bench.means import Interval
from bench.pick import choice, halving, report
from bench.pick.candidate import Candidate, Cause, Limits
from bench.pick.choice import Choice
from bench.records.reported import ArchCost
from bench.units import MIB
from tests.bench.pick.figures import candidate, cost, record, run
from tests.bench.report.fronts import measured

LIMITS = Limits(latency_s=0.020)
SETS = 3
IMAGENET = "weights on ImageNet-1K"


def chosen(*latencies: tuple[Candidate, float], sets: int = SETS, unfinished: str = "") -> Choice:
    """Return the choice among candidates of these latencies."""
    final = run(*(record(each.cell, latency_s, sets) for each, latency_s in latencies))
    candidates = halving.measured([each for each, _ in latencies], final, 3)
    return choice.choose(candidates, final, LIMITS, unfinished)


def verdicts(of: Choice) -> dict[str, str]:
    return {each.cell.arch: each.verdict for each in of.candidates}


def test_the_most_accurate_within_the_limit_is_picked() -> None:
    found = chosen(
        (candidate("fast", 70.0), 0.005),
        (candidate("good", 80.0), 0.015),
        (candidate("best", 85.0), 0.0197),
        (candidate("unknown"), 0.001),
    )
    assert found.picked is not None
    assert found.picked.cell.arch == "good"
    # The estimate of "best" is within the limit, but not the upper end of its interval.
    assert verdicts(found) == {
        "fast": "within the limits, but less accurate",
        "good": "picked",
        "best": "over the limit: its interval ends at 20.4 ms",
        "unknown": "within the limits, but its accuracy is unknown",
    }
    assert found.sentences == (
        "Picked: good in eager, the most accurate within the limits: 80.0 % (a paper), "
        "15.2 (14.8–15.6) ms at batch 1.",
    )
    assert found.is_decided


def test_the_fastest_of_equal_accuracy_is_picked() -> None:
    found = chosen(
        (candidate("a", 80.0), 0.016),
        (candidate("a", 80.0, mode="channels_last"), 0.015),
    )
    assert found.picked is not None
    assert found.picked.cell.mode == "channels_last"
    assert found.candidates[0].verdict == "within the limits, but not the fastest of its accuracy"


def test_the_fastest_is_picked_if_no_accuracy_is_known() -> None:
    found = chosen((candidate("a"), 0.010), (candidate("b"), 0.009))
    assert found.sentences == (
        "Picked: b in eager, 9.11 (8.89–9.33) ms at batch 1, the fastest within the limits; no "
        "accuracy is known.",
    )


def test_a_mode_that_changes_answers_says_by_how_much() -> None:
    exact, other = candidate("a", 80.0), candidate("a", 80.0, mode="compile")

    def found(error: float) -> Choice:
        fast = record(other.cell, 0.010, SETS)
        setups = tuple(
            msgspec.structs.replace(setup, output_error=error / (index + 1))
            for index, setup in enumerate(fast.setups)
        )
        final = run(record(exact.cell, 0.015, SETS), replace(fast, setups=setups))
        return choice.choose(halving.measured([exact, other], final, 3), final, LIMITS)

    assert found(2e-6).sentences[1] == (
        "Its answers differ from those in fp32 eager by 2.0e-06 (relative L2 distance), which the "
        "accuracy does not include."
    )
    assert report.frame(found(2e-6))["output_error"].tolist() == [2e-6, None]
    assert len(found(0.0).sentences) == 1


def test_a_larger_batch_is_faster_per_image() -> None:
    found = chosen((candidate("a", 80.0), 0.010), (candidate("a", 80.0, batch_size=4), 0.019))
    assert found.picked is not None
    assert found.picked.cell.batch_size == 4


def test_a_faster_network_of_nearly_the_same_accuracy_is_named() -> None:
    found = chosen(
        (candidate("good", 80.0, source=IMAGENET), 0.015),
        (candidate("near", 79.6, source=IMAGENET), 0.010),
        (candidate("nearer", 79.8, source=IMAGENET), 0.012),
        (candidate("worse", 79.4, source=IMAGENET), 0.001),
        (candidate("slow", 79.9, source=IMAGENET), 0.016),
    )
    assert found.sentences[1:] == (
        "near in eager is 1.50 (1.50–1.50) times as fast (the interval has a confidence of 98.3 %, "
        "because the fastest of 3 such networks is named): its 79.6 % differ from 80.0 % by less "
        "than 0.5 points, which is within what chance can explain for ImageNet's 50,000 "
        "validation images.",
    )


def test_a_faster_network_is_named_only_if_that_holds_for_all_comparisons() -> None:
    good, near, other = candidate("good", 80.0), candidate("near", 79.6), candidate("other", 79.7)

    def faster(*compared: Candidate) -> tuple[str, ...]:
        # The log ratios of "near" to "good" have a t of 5.2. With 2 degrees of freedom, 95 % need
        # 4.3, and 97.5 % need 6.2.
        set_ms = {good: (10.5, 11.0, 10.7), near: (10.0,) * 3, other: (11.0,) * 3}
        records = [
            replace(measured(each.cell.arch, each.percent, set_ms[each]), cell=each.cell)
            for each in compared
        ]
        final = run(*records)
        candidates = halving.measured(list(compared), final, 3)
        sentences = choice.choose(candidates, final, LIMITS).sentences
        return tuple(sentence for sentence in sentences if "times as fast" in sentence)

    (sentence,) = faster(good, near)
    assert sentence.startswith("near in eager is 1.07 ")
    assert faster(good, near, other) == ()


@pytest.mark.parametrize(("percent", "is_decided"), [(79.9, True), (80.0, True), (80.1, False)])
def test_only_a_more_accurate_network_may_still_replace_the_pick(
    percent: float, is_decided: bool
) -> None:
    known, open_ = candidate("known", 80.0), candidate("open", percent)
    final = run(record(known.cell, 0.010, SETS), record(open_.cell, 0.010, 1))
    candidates = halving.measured([known, open_], final, 3)
    found = choice.choose(candidates, final, LIMITS)
    assert found.picked is not None
    assert found.picked.cell.arch == "known"
    assert found.is_decided is is_decided


def test_the_favourite_may_be_exactly_at_the_limit() -> None:
    at_limit, faster = (
        replace(
            candidate(name, percent),
            latency=Interval(estimate=seconds, low=seconds, high=seconds, sets=3),
        )
        for name, percent, seconds in (("at-limit", 80.0, LIMITS.latency_s), ("fast", 70.0, 0.01))
    )
    assert choice.favourite([faster, at_limit], LIMITS) == at_limit


def test_memory_is_a_nearer_miss_than_an_estimate_of_the_latency() -> None:
    dropped = [
        candidate("slow", 80.0).drop(1, Cause.CEILING, "its estimate is too high"),
        candidate("large", 80.0).drop(2, Cause.MEMORY, "it needs too much memory"),
        candidate("wrong", 10.0).drop(1, Cause.ACCURACY, "its accuracy is too low"),
    ]
    (sentence,) = choice.choose(dropped, None, LIMITS).sentences
    assert sentence.endswith("The nearest is large in eager: it needs too much memory.")


@pytest.mark.parametrize(("compared", "says_why"), [(1, False), (2, True)])
def test_an_interval_says_why_it_is_wider(compared: int, says_why: bool) -> None:
    text = choice._widened(0.975, compared)
    assert ("confidence of 97.5 %, because the fastest of 2 such" in text) is says_why
    assert bool(text) is says_why


@pytest.mark.parametrize(("percent", "is_named"), [(79.51, True), (79.5, False)])
def test_half_a_point_is_another_accuracy(percent: float, is_named: bool) -> None:
    found = chosen((candidate("good", 80.0), 0.015), (candidate("near", percent), 0.010))
    assert ("near in eager is 1.50" in " ".join(found.sentences)) is is_named


def test_what_chance_explains_is_said_only_for_accuracies_on_imagenet() -> None:
    found = chosen(
        (candidate("good", 80.0, source=IMAGENET), 0.015),
        (candidate("near", 79.6, source="our images"), 0.010),
    )
    assert found.sentences[1:] == (
        "near in eager is 1.50 (1.50–1.50) times as fast: its 79.6 % differ from 80.0 % by 0.40 "
        "points.",
    )


def test_a_faster_network_over_a_limit_is_not_named() -> None:
    good, large, accurate = candidate("good", 80.0), candidate("large", 79.8), candidate("b", 80.2)
    limits = replace(LIMITS, memory_bytes=100 * MIB)
    final = run(
        record(good.cell, 0.015, SETS, 90 * MIB),
        record(large.cell, 0.010, SETS, 120 * MIB),
        record(accurate.cell, 0.011, SETS, 120 * MIB),
    )
    candidates = halving.measured([good, large, accurate], final, 3)
    found = choice.choose(candidates, final, limits)
    assert found.picked is not None
    assert found.picked.cell.arch == "good"
    assert len(found.sentences) == 1
    assert verdicts(found)["large"] == (
        "over the limit: it needs 120 MiB of memory, more than 100 MiB"
    )


def test_a_more_accurate_network_without_an_interval_leaves_the_choice_open() -> None:
    good, better, worse = candidate("good", 80.0), candidate("better", 85.0), candidate("c", 70.0)
    final = run(
        record(good.cell, 0.015, SETS),
        record(better.cell, 0.010, 1),
        record(worse.cell, 0.001, 1),
    )
    found = choice.choose(halving.measured([good, better, worse], final, 3), final, LIMITS)
    assert found.picked is not None
    assert found.picked.cell.arch == "good"
    assert found.sentences[1:] == (
        "better in eager is more accurate and is not decided: too few valid sets.",
    )
    assert not found.is_decided
    known = choice.choose(halving.measured([good, worse], final, 3), final, LIMITS)
    assert known.is_decided


def test_the_table_says_which_are_on_the_front_of_the_final_run() -> None:
    figures = (("good", 80.0, 0.015), ("fast", 70.0, 0.005), ("behind", 75.0, 0.018))
    of = [candidate(name, percent) for name, percent, _ in figures]
    unknown, early = candidate("unknown"), candidate("early").drop(1, Cause.ACCURACY, "unknown")
    final = run(
        *(
            record(each.cell, latency_s, SETS, percent=percent)
            for each, (_, percent, latency_s) in zip(of, figures, strict=True)
        ),
        record(unknown.cell, 0.019, SETS),
    )
    candidates = halving.measured([*of, unknown, early], final, 3)
    rows = report.frame(choice.choose(candidates, final, LIMITS)).set_index("arch")
    assert rows["front"].to_dict() == {
        "good": "yes",
        "fast": "yes",
        "behind": "no",
        "unknown": None,
        "early": None,
    }
    unfinished = choice.choose(candidates, final, LIMITS, "Interrupted.")
    assert {each.front for each in unfinished.candidates} == {None}


def test_the_nearest_miss_is_named_if_none_fits() -> None:
    found = chosen((candidate("a", 80.0), 0.022), (candidate("b", 70.0), 0.021))
    assert found.picked is None
    assert found.is_decided
    assert found.sentences == (
        "No network keeps to the limits. The nearest is b in eager: over the limit: its interval "
        "ends at 21.8 ms.",
    )


def test_the_nearest_of_those_that_were_dropped_earlier_is_named() -> None:
    slow = replace(candidate("slow", 80.0), least_s=0.040).drop(1, Cause.CEILING, "at least 40 ms")
    slower = replace(candidate("slower", 80.0), least_s=0.050).drop(
        1, Cause.CEILING, "at least 50 ms"
    )
    bad = candidate("bad", 60.0).drop(1, Cause.ACCURACY, "its accuracy is 60 %")
    worse = candidate("worse", 50.0).drop(1, Cause.ACCURACY, "its accuracy is 50 %")
    unknown = candidate("unknown").drop(1, Cause.ACCURACY, "its accuracy is unknown")
    large = replace(candidate("large", 80.0), cost=cost(params=9)).drop(1, Cause.PARAMS, "9 params")

    def nearest(*of: Candidate) -> str:
        return choice.choose(list(of), None, LIMITS).sentences[-1].partition(" The ")[2]

    assert nearest(slower, slow, bad) == "nearest is slow in eager: at least 40 ms."
    assert nearest(unknown, worse, bad) == "nearest is bad in eager: its accuracy is 60 %."
    assert nearest(bad, large) == "nearest is large in eager: 9 params."
    gone = candidate("gone").drop(1, Cause.NOT_INSTALLED, "it needs timm")
    assert choice.choose([gone], None, LIMITS).sentences == (
        "No network keeps to the limits. All were dropped: it needs timm.",
    )


def test_too_few_sets_decide_nothing() -> None:
    found = chosen((candidate("a", 80.0), 0.010), sets=1, unfinished="Interrupted in step 2.")
    assert not found.is_decided
    assert found.sentences == (
        "Interrupted in step 2.",
        "No network is picked: too little was measured of a in eager.",
    )
    assert verdicts(found) == {"a": "not decided: measuring ended early"}


def test_the_reference_is_the_favourite() -> None:
    few, many = (
        replace(candidate(name, 80.0), cost=ArchCost(), least_s=least_s)
        for name, least_s in (("few", 0.001), ("many", 0.002))
    )
    assert choice.favourite([many, few], LIMITS) is few
    measured = chosen((candidate("a", 70.0), 0.010), (candidate("b", 80.0), 0.015)).candidates
    assert choice.favourite(measured, LIMITS).cell.arch == "b"


def test_the_table_has_the_pick_first_and_then_what_came_far() -> None:
    found = chosen((candidate("fast", 70.0), 0.005), (candidate("good", 80.0), 0.015))
    early = candidate("early", 60.0).drop(1, Cause.ACCURACY, "its accuracy is 60.0 %, below 65 %")
    late = candidate("late", 75.0).drop(2, Cause.LATENCY, "29.0 ms")
    everything = choice.choose([early, late, *found.candidates], None, LIMITS)
    rows = report.frame(everything)
    assert rows["arch"].tolist() == ["good", "fast", "late", "early"]
    assert rows["verdict"].tolist()[2:] == [
        "dropped in step 2: 29.0 ms",
        "dropped in step 1: its accuracy is 60.0 %, below 65 %",
    ]
    assert rows["gmacs"].tolist()[0] == 1.0
    assert pd.isna(rows["latency_s"].tolist()[3])
    text = report.markdown(everything)
    assert text.startswith(f"{report.TITLE}\n\nPicked: good in eager")
    assert "| 15.2 (14.8–15.6) |" in text
