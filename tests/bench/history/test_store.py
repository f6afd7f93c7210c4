"""Runs go in once, and come out as they were."""

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from bench.errors import RequestError
from bench.history.entry import Entry
from bench.history.series import Series
from bench.history.store import Store, open_store
from bench.history.writing import Outcome
from bench.metrics.latency import LATENCY
from bench.metrics.metric import Metric
from tests.bench import runs
from tests.bench.history import made

EAGER = runs.EAGER.id


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(str(tmp_path / "history.db"), create=True)


def add(store: Store, *entries: Entry) -> None:
    for entry in entries:
        assert store.add(entry) is Outcome.ADDED


def values(series: Series) -> list[float]:
    return [point.value for point in series.points]


def test_a_run_comes_out_as_it_went_in(store: Store) -> None:
    entries = [made.entry(day) for day in range(3)]
    add(store, *entries)
    for entry in entries:
        assert store.run(entry.run_id) == entry


def test_a_run_is_added_once(store: Store) -> None:
    entry = made.entry(0)
    add(store, entry, made.entry(1))
    assert store.add(entry) is Outcome.KNOWN
    assert store.count() == 2
    (series,) = store.series(EAGER, made.RATIO)
    assert len(series.points) == 2


def test_a_resumed_run_replaces_its_earlier_state(store: Store) -> None:
    early = made.entry(0, 1.5, status="interrupted")
    resumed = made.entry(0, when=early.when + timedelta(hours=1))
    add(store, early, made.entry(1))
    assert store.add(resumed) is Outcome.REPLACED
    assert store.run(early.run_id) == resumed
    assert store.add(early) is Outcome.OUTDATED
    (series,) = store.series(EAGER, made.RATIO)
    expected = made.figures(resumed, EAGER)[made.RATIO].value
    assert values(series) == [expected, expected]


def test_a_series_has_its_points_in_time_order(store: Store) -> None:
    slowdowns = {2: 1.2, 0: 1.0, 1: 1.1}
    entries = {day: made.entry(day, slowdown) for day, slowdown in slowdowns.items()}
    add(store, *entries.values())
    (series,) = store.series(EAGER, made.RATIO)
    assert [point.when for point in series.points] == [entries[day].when for day in range(3)]
    for day, point in enumerate(series.points):
        entry = entries[day]
        figure = made.figures(entry, EAGER)[made.RATIO]
        assert (point.value, point.low, point.high) == (figure.value, figure.low, figure.high)
        assert (point.run_id, point.commit, point.branch) == (
            entry.run_id,
            entry.commit,
            entry.branch,
        )
    assert values(series) == pytest.approx([values(series)[0] / slowdowns[day] for day in range(3)])
    assert (series.better, series.neutral, series.unit) == ("more", 1.0, "")
    assert (series.machine_name, series.image_size) == ("AMD EPYC", "224")
    assert series.reference == runs.REFERENCE_EAGER.id


def test_figures_of_other_circumstances_are_in_other_series(store: Store) -> None:
    usual = made.entry(0)
    machine = msgspec.structs.replace(usual.machine, facts={"cpu": "another"})
    others = [
        made.entry(1, machine=machine),
        made.entry(2, torch="2.12.0"),
        made.entry(3, threads=8),
        made.entry(4, cells=resized(usual, "192")),
    ]
    add(store, usual, *others, made.entry(5))
    for metric in (made.RATIO, LATENCY.name):
        found = store.series(EAGER, metric)
        assert sorted(len(series.points) for series in found) == [1, 1, 1, 1, 2]
        told = {(each.machine, each.torch, each.threads, each.image_size) for each in found}
        assert len(told) == len(found)


def resized(entry: Entry, size: str) -> Sequence[object]:
    return tuple(msgspec.structs.replace(cell, image_size=size) for cell in entry.cells)


def test_only_ratios_depend_on_the_reference(store: Store) -> None:
    usual = made.entry(0)
    cells = tuple(msgspec.structs.replace(cell, reference="another") for cell in usual.cells)
    add(store, usual, made.entry(1, cells=cells))
    assert [each.reference for each in store.series(EAGER, made.RATIO)] == [
        "another",
        runs.REFERENCE_EAGER.id,
    ]
    (latency,) = store.series(EAGER, LATENCY.name)
    assert latency.reference == ""
    assert [point.when for point in latency.points] == [usual.when, usual.when + timedelta(days=1)]


def test_a_pattern_selects_cells(store: Store) -> None:
    add(store, made.entry(0))
    found = store.series("googlenet/*/b1/infer/cpu", made.RATIO)
    assert [series.cell for series in found] == sorted([EAGER, runs.COMPILED.id])


def test_a_branch_selects_runs(store: Store) -> None:
    add(store, made.entry(0), made.entry(1, branch="topic"), made.entry(2))
    (series,) = store.series(EAGER, made.RATIO, branch="main")
    assert [point.branch for point in series.points] == ["main", "main"]
    assert [each.run_id for each in store.runs(branch="topic")] == [made.entry(1).run_id]
    assert store.count(branch="main") == 2
    with pytest.raises(RequestError, match="no run on the branch 'none' has the metric"):
        store.series(EAGER, made.RATIO, branch="none")


def test_the_latest_runs_are_listed_in_time_order(store: Store) -> None:
    add(store, *(made.entry(day) for day in (2, 0, 1)))
    assert [each.commit for each in store.runs()] == [f"{day:040x}" for day in range(3)]
    (_, last) = store.runs(last=2)
    assert (last.machine_name, last.cells, last.status) == ("AMD EPYC", 7, "complete")
    assert last.when == made.entry(2).when


def test_a_run_is_named_by_the_beginning_of_its_id(store: Store) -> None:
    add(store, made.entry(0, run_id="ab1"), made.entry(1, run_id="ab2"), made.entry(2, run_id="a"))
    assert store.run("ab2").run_id == "ab2"
    assert store.run("a").run_id == "a"  # complete, although it is also the beginning of others
    assert store.run("latest").run_id == "a"
    with pytest.raises(RequestError, match=r"the ids of 2 runs begin with 'ab' \(ab2, ab1\)"):
        store.run("ab")
    for unknown in ("b", "%", "_b1"):
        with pytest.raises(RequestError, match="no run whose id begins with"):
            store.run(unknown)


def test_an_empty_history_says_so(store: Store) -> None:
    assert store.runs() == []
    with pytest.raises(RequestError, match="has no runs"):
        store.run("latest")


def test_unknown_cells_and_metrics_are_named(store: Store) -> None:
    add(store, made.entry(0))
    with pytest.raises(RequestError, match=r"no cell .* matches 'googlenet/eager/fp32/b1/infer'"):
        store.series("googlenet/eager/fp32/b1/infer", made.RATIO)
    with pytest.raises(RequestError, match="did you mean 'latency_s'"):
        store.series(EAGER, "latency")
    with pytest.raises(RequestError, match="no run has the metric latency_s"):
        store.series(runs.UNVISITED.id, LATENCY.name)


def test_a_metric_of_a_plugin_needs_no_migration(store: Store) -> None:
    extra = Metric(name="stars", heading="stars", compute=lambda _: 5.0)
    usual = made.entry(0)
    about = msgspec.structs.replace(usual.metrics[0], name=extra.name, unit="", better="more")
    figure = msgspec.structs.replace(usual.cells[0].figures[0], metric=extra.name, value=5.0)
    cell = msgspec.structs.replace(usual.cells[0], figures=(figure,))
    add(store, usual, made.entry(1, cells=(cell,), metrics=(about,)))
    (series,) = store.series("*", extra.name)
    assert (series.better, values(series)) == ("more", [5.0])


def test_every_figure_is_exported(store: Store) -> None:
    entries = [made.entry(day) for day in range(2)]
    add(store, *entries)
    found = list(store.figures("*"))
    assert len(found) == sum(len(cell.figures) for entry in entries for cell in entry.cells)
    (first, _) = (each for each in found if (each.cell, each.metric) == (EAGER, made.RATIO))
    figure = made.figures(entries[0], EAGER)[made.RATIO]
    assert (first.value, first.low, first.high) == (figure.value, figure.low, figure.high)
    assert (first.run_id, first.when) == (entries[0].run_id, entries[0].when)
    only = list(store.figures("googlenet*", LATENCY.name))
    assert {each.metric for each in only} == {LATENCY.name}
    assert all(each.cell.startswith("googlenet") for each in only)
