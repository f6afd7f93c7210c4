import random

import pytest

from bench import rounds
from bench.cell import Cell
from bench.launch import Launcher, WorkerError
from bench.plan import Plan
from bench.record import Failure
from bench.rounds import Outcome, Run, iterations_for
from tests.bench.broken import CALLS_OF_WARMING_UP


class Watcher:
    """A progress that remembers what it was told."""

    def __init__(self) -> None:
        self.phases: list[tuple[str, int]] = []
        self.advances: list[list[str]] = []
        self.failures: dict[str, Failure] = {}

    def phase(self, name: str, total: int) -> None:
        self.phases.append((name, total))
        self.advances.append([])

    def advance(self, what: str) -> None:
        self.advances[-1].append(what)

    def failed(self, cell: Cell, failure: Failure) -> None:
        self.failures[cell.arch.partition(":")[2]] = failure


def cell(factory: str, batch_size: int = 1) -> Cell:
    return Cell(
        arch=f"tests.bench.broken:{factory}",
        mode="eager",
        dtype="fp32",
        batch_size=batch_size,
        task="infer",
        device="cpu",
    )


def plan(*cells: Cell, sets: int = 1, rounds: int = 3, budget_s: float | None = None) -> Plan:
    return Plan(cells=cells, sets=sets, rounds=rounds, budget_s=budget_s, seed=5, image_size=32)


def visited(outcome: Outcome, found: Cell) -> list[tuple[int, int]]:
    return [(visit.set_index, visit.round_index) for visit in outcome.visits.get(found, [])]


def test_every_cell_is_visited_in_every_round_of_every_set(fork_server: Launcher) -> None:
    first, second = cell("works"), cell("works", batch_size=2)
    outcome = Run(plan(first, second, sets=2), fork_server, Watcher()).measure()
    expected = [(s, r) for s in range(2) for r in range(3)]
    assert visited(outcome, first) == visited(outcome, second) == expected
    assert outcome.status == "complete"
    assert len(outcome.setups[first]) == 2
    assert outcome.environment["device"] == "cpu"
    assert set(outcome.phases_s) == {
        "importing",
        "counting",
        "preparing",
        "warming up",
        "measuring",
    }


def test_a_cost_is_counted_for_one_image_whatever_the_batch(fork_server: Launcher) -> None:
    found = cell("works", batch_size=4)
    outcome = Run(plan(found), fork_server, Watcher()).measure()
    cost = outcome.records()[0].cost
    assert cost["params"] == (3 * 9 * 8 + 8) + 2 * 8 + (8 * 1000 + 1000)
    assert cost["macs_per_image"] == 4 * 4 * 8 * 3 * 9 + 8 * 1000  # 32 pixels, stride 8


def test_the_first_iteration_of_a_visit_is_dropped(fork_server: Launcher) -> None:
    found = cell("slow")
    outcome = Run(plan(found, rounds=1), fork_server, Watcher()).measure()
    # 50 ms and a little: two iterations make a visit of 0.1 s.
    assert [len(visit.host_s) for visit in outcome.visits[found]] == [2]


def test_the_order_in_a_round_is_the_seed_s(fork_server: Launcher) -> None:
    cells = [cell("works"), cell("prints"), cell("drops_out")]
    watcher = Watcher()
    Run(plan(*cells, rounds=4), fork_server, watcher).measure()
    seed = random.Random(5)
    expected: list[str] = []
    for _ in range(4):
        order = list(cells)
        seed.shuffle(order)
        expected += [found.id for found in order]
    assert watcher.phases[-1][0] == "set 1: measuring"
    assert watcher.advances[-1] == expected
    assert expected[:3] != expected[3:6] or expected[3:6] != expected[6:9]


def test_a_failing_worker_costs_its_own_cell_alone(
    fork_server: Launcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rounds, "VISIT_LIMIT_S", 1.0)
    broken = {
        "raises_when_built": ("error", "preparing"),
        "answers_wrongly": ("wrong_answer", "preparing"),
        "needs_a_petabyte": ("out_of_memory", "preparing"),
        "raises_when_warmed_up": ("error", "warming up"),
        "is_killed": ("died", "measuring"),
        "hangs": ("timeout", "measuring"),
    }
    cells = [cell("works"), *(cell(factory) for factory in broken), cell("prints")]
    watcher = Watcher()
    # Three calls a visit at the least: by then the killed and the hanging one are past warming up.
    rounds_needed = CALLS_OF_WARMING_UP // 3
    outcome = Run(plan(*cells, sets=2, rounds=rounds_needed), fork_server, watcher).measure()
    told = {name: (failure.kind, failure.phase) for name, failure in watcher.failures.items()}
    assert told == broken
    whole = [(s, r) for s in range(2) for r in range(rounds_needed)]
    assert visited(outcome, cells[0]) == visited(outcome, cells[-1]) == whole
    assert {record.cell for record in outcome.records() if record.failure} == set(cells[1:-1])
    # What was measured of a cell before it failed is kept, and it is not tried again.
    assert all(set_index == 0 for set_index, _ in visited(outcome, cell("is_killed")))


def test_a_cost_that_cannot_be_counted_costs_no_timing(fork_server: Launcher) -> None:
    found = cell("raises_when_warmed_up")  # its fourth call is not counting's, which makes two
    outcome = Run(plan(cell("works"), found), fork_server, Watcher()).measure()
    assert outcome.costs[found.arch]["params"] > 0
    broken = cell("needs_a_petabyte")
    outcome = Run(plan(cell("works"), broken), fork_server, Watcher()).measure()
    assert "allocate" in outcome.costs[broken.arch]["error"]
    assert outcome.visits[cell("works")]


def test_a_wrong_arch_ends_the_run_before_anything_is_measured(fork_server: Launcher) -> None:
    with pytest.raises(WorkerError, match="cannot take 'nothing'") as caught:
        Run(plan(cell("works"), cell("nothing")), fork_server, Watcher()).measure()
    assert caught.value.kind == "request"


def test_no_round_begins_after_the_budget(fork_server: Launcher) -> None:
    # A clock that moves a second each time it is read: two rounds fit, then it is too late.
    seconds = iter(range(10_000))
    found = cell("works")
    run = Run(
        plan(found, sets=5, rounds=50, budget_s=10.0),
        fork_server,
        Watcher(),
        now=lambda: float(next(seconds)),
    )
    outcome = run.measure()
    assert outcome.status == "over_budget"
    assert 1 <= len(outcome.visits[found]) < 50
    assert len(outcome.setups[found]) == 1


def test_an_interrupt_keeps_what_was_measured(fork_server: Launcher) -> None:
    class Interrupts(Watcher):
        def advance(self, what: str) -> None:
            super().advance(what)
            if self.phases[-1][0].endswith("measuring") and len(self.advances[-1]) == 3:
                raise KeyboardInterrupt

    found = cell("works")
    outcome = Run(plan(found, rounds=50), fork_server, Interrupts()).measure()
    assert outcome.status == "interrupted"
    assert len(outcome.visits[found]) == 3


def test_an_interrupt_before_the_first_visit_is_passed_on(fork_server: Launcher) -> None:
    class Interrupts(Watcher):
        def phase(self, name: str, total: int) -> None:
            super().phase(name, total)
            if name.endswith("warming up"):
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Run(plan(cell("works")), fork_server, Interrupts()).measure()


@pytest.mark.parametrize(
    ("latency_s", "iterations"), [(0.0, 20), (0.001, 20), (0.025, 4), (0.1, 2), (10.0, 2)]
)
def test_iterations_follow_from_the_latency(latency_s: float, iterations: int) -> None:
    assert iterations_for(latency_s) == iterations
