"""``best``: tournaments of known latencies, and one with real workers."""

import csv
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from bench.api import measuring
from bench.best import combinations, narrowing, report
from bench.cells import plan_values
from bench.cells.cell import Cell
from bench.cli import main
from bench.launch.process import WorkerError
from bench.records import store
from bench.records.record import RunRecord
from bench.report import files
from tests.bench.best.tournaments import Machine, modes_of

Capture = pytest.CaptureFixture[str]
TINY = "tests.bench.tiny:net"
CPU = ("--device=cpu", "--image-size=32")
MODES = "--modes=eager,channels_last,compile,compile+channels_last"


def product(factors: Mapping[str, float]) -> Callable[[Cell], float]:
    """Return a speed that is the product of the factors of a cell's changes, by default 0.9."""

    def speed(cell: Cell) -> float:
        result = 1.0
        for name in combinations.changes(cell):
            result *= factors.get(name, 0.9)
        return result

    return speed


@pytest.fixture
def on(monkeypatch: pytest.MonkeyPatch) -> Callable[[Machine], Machine]:
    """Return a function that makes a machine measure all runs."""

    def use(machine: Machine) -> Machine:
        monkeypatch.setattr(measuring, "start_launcher", machine.start)
        monkeypatch.setattr(measuring, "measure_here", machine.measure)
        return machine

    return use


Use = Callable[[Machine], Machine]


def run(capsys: Capture, *options: str) -> tuple[int, str]:
    code = main(["best", TINY, *CPU, *options])
    return code, " ".join(capsys.readouterr().out.split())


def verdicts(capsys: Capture, *options: str) -> dict[str, str]:
    main(["best", TINY, *CPU, *options, "--format", "json"])
    rows = json.loads(capsys.readouterr().out)
    return {f"{row['mode']} {row['dtype']} b{row['batch_size']}": row["verdict"] for row in rows}


def test_changes_that_help_are_combined_and_the_best_combination_wins(
    on: Use, capsys: Capture
) -> None:
    machine = on(Machine(product({"compile": 2.0, "channels_last": 1.1})))
    code, out = run(capsys)
    assert code == 0
    assert "Best at batch 1: compile+channels_last, 2.2" in out
    assert "times as fast as eager." in out
    assert "times as fast as the next, compile." in out
    assert "run = torch.compile(model, dynamic=False)" in out
    first = modes_of(machine.plans[0])
    assert {"compile", "channels_last"} <= set(first)
    assert not [mode for mode in first if "+" in mode]
    assert "compile+channels_last" in modes_of(machine.plans[1])
    final = machine.plans[-1]
    assert (final.sets, final.rounds) == (5, None)
    assert final.cells[0].mode == "eager"
    assert len(final.cells) <= narrowing.FINALISTS + 1


def test_a_change_that_slows_eager_down_is_not_combined(on: Use, capsys: Capture) -> None:
    machine = on(Machine(product({"compile": 2.0, "channels_last": 0.5})))
    code, out = run(capsys)
    assert code == 0
    assert "Best at batch 1: compile, 2.0" in out
    assert "channels_last" not in {m for made in machine.plans[1:] for m in modes_of(made)}


def test_an_option_is_tried_with_the_executors_that_take_it(on: Use, capsys: Capture) -> None:
    machine = on(Machine(product({"compile": 2.0, "cpp_wrapper": 1.2})))
    code, out = run(capsys)
    assert code == 0
    assert "Best at batch 1: compile+cpp_wrapper, 2.4" in out
    assert "cpp_wrapper" not in modes_of(machine.plans[0])


def test_modes_that_try_kernels_out_come_last_with_the_rewrites_of_the_fastest(
    on: Use, capsys: Capture
) -> None:
    machine = on(Machine(product({"compile": 2.0, "channels_last": 1.3, "max-autotune": 3.0})))
    code, out = run(capsys)
    assert code == 0
    assert "Best at batch 1: max-autotune+channels_last" in out
    later = [any("max-autotune" in mode for mode in modes_of(made)) for made in machine.plans]
    assert later == sorted(later)
    assert later[0] is False


def test_with_modes_only_these_and_eager_take_part(on: Use, capsys: Capture) -> None:
    machine = on(Machine(product({"compile": 2.0})))
    assert run(capsys, "--modes", "compile")[0] == 0
    assert {cell.mode for made in machine.plans for cell in made.cells} == {"eager", "compile"}


def test_dtypes_compete_in_one_group_if_their_error_is_allowed(on: Use, capsys: Capture) -> None:
    speed = product({"compile": 2.0, "bf16": 1.5})
    machine = on(Machine(speed, errors={"bf16": 0.01}))
    options = ("--modes=compile", "--dtypes=fp32,bf16", "--batch-sizes=1,4")
    code, out = run(capsys, *options, "--max-error=0.05")
    assert code == 0
    for size in (1, 4):
        assert f"Best at batch {size}: compile (bf16), 3.0" in out
    assert {cell.group for cell in machine.plans[-1].cells} == {"b1/infer/cpu", "b4/infer/cpu"}
    assert "model = model.to(torch.bfloat16)" in out
    shown = verdicts(capsys, *options, "--max-error=0.001")
    assert shown["compile bf16 b1"] == (
        "dropped in step 1: its error is 0.01, more than --max-error 0.001"
    )
    assert shown["compile fp32 b4"] == "best"


def test_without_max_error_only_fp32_takes_part(on: Use, capsys: Capture) -> None:
    machine = on(Machine(product({})))
    code, out = run(capsys, "--modes=compile", "--dtypes=bf16")
    assert code == 0
    assert "Only fp32 takes part: bf16 would change the answers, and --max-error does not" in out
    assert {cell.dtype for made in machine.plans for cell in made.cells} == {"fp32"}
    assert machine.plans[0].cells[0].group == "fp32/b1/infer/cpu"


def test_the_simpler_of_two_equally_fast_modes_wins(on: Use, capsys: Capture) -> None:
    on(Machine(product({"compile": 2.0, "channels_last": 1.001})))
    code, out = run(capsys, MODES)
    assert code == 0
    assert "Best at batch 1: compile, 2.0" in out
    assert "the next, compile+channels_last: the two are not shown to differ; it is simpler" in out


def test_a_candidate_that_fails_is_dropped_with_its_reason(on: Use, capsys: Capture) -> None:
    def speed(cell: Cell) -> float:
        if "channels_last" in cell.mode:
            raise ValueError("no such kernel")
        return 1.0

    on(Machine(speed))
    shown = verdicts(capsys, MODES)
    assert shown["channels_last fp32 b1"] == "dropped in step 1: it failed: no such kernel"
    assert shown["eager fp32 b1"] == "best"


def test_without_eager_nothing_wins(on: Use, capsys: Capture) -> None:
    def speed(cell: Cell) -> float:
        if cell.mode == "eager":
            raise ValueError("no such kernel")
        return 1.0

    on(Machine(speed))
    code, out = run(capsys, MODES)
    assert code == 1
    assert "At batch 1 nothing wins: every candidate failed." in out


@pytest.mark.parametrize("options", [(), ("--batch-sizes=1,4",)])
def test_a_batch_size_at_which_eager_fails_has_no_winner(
    on: Use, capsys: Capture, options: tuple[str, ...]
) -> None:
    def speed(cell: Cell) -> float:
        if cell.mode == "eager" and cell.batch_size == 1:
            raise ValueError("no such kernel")
        return 1.0

    machine = on(Machine(speed))
    code, out = run(capsys, *options)
    assert code == 1
    assert "At batch 1 nothing wins: every candidate failed." in out
    assert ("Best at batch 4: eager" in out) is bool(options)
    later = {cell.batch_size for made in machine.plans[1:] for cell in made.cells}
    assert later == ({4} if options else set())


def test_a_dtype_whose_error_is_too_large_is_not_combined(on: Use, capsys: Capture) -> None:
    machine = on(Machine(product({"compile": 2.0, "bf16": 1.5}), errors={"bf16": 0.01}))
    assert run(capsys, "--dtypes=bf16", "--max-error=0.001")[0] == 0
    assert {cell.dtype for made in machine.plans[1:] for cell in made.cells} == {"fp32"}


def test_without_workers_the_earlier_steps_are_reported(
    on: Use, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = on(Machine(product({"compile": 2.0})))

    def refuse_the_second(*arguments: Any, **named: Any) -> RunRecord:
        if machine.plans:
            raise WorkerError("died", "no memory")
        return machine.measure(*arguments, **named)

    monkeypatch.setattr(measuring, "measure_here", refuse_the_second)
    code, out = run(capsys, MODES)
    assert code == 3
    assert "No worker could be started in step 2: no memory." in out
    assert "the fastest so far is compile." in out


def test_a_mode_whose_library_is_not_installed_is_dropped_with_how_to_install_it(
    on: Use, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        plan_values, "missing", lambda cell: "install it" if cell.mode == "compile" else ""
    )
    machine = on(Machine(product({})))
    assert verdicts(capsys, MODES)["compile fp32 b1"] == "dropped: install it"
    assert "compile" not in {cell.mode for made in machine.plans for cell in made.cells}


def test_one_set_decides_nothing(on: Use, capsys: Capture) -> None:
    on(Machine(product({"compile": 2.0}), sets={2: 1}, statuses={2: "over_budget"}))
    code, out = run(capsys, "--modes=compile", "--budget=100")
    assert code == 3
    assert "--budget 100 ended the final run: what was finished decides." in out
    assert "Not decided at batch 1, most likely: compile" in out
    assert "most likely, but not decided" in out


def test_a_budget_that_ends_before_the_final_run_drops_what_was_not_measured(
    on: Use, capsys: Capture
) -> None:
    machine = on(
        Machine(product({"compile": 2.0, "channels_last": 1.3}), statuses={1: "over_budget"})
    )
    code, out = run(capsys, MODES, "--budget=100")
    assert code == 0
    assert "Half of --budget 100 was over in step 1: what was finished decides." in out
    budgets = [made.budget_s for made in machine.plans]
    assert all(budget is not None and budget <= 100 for budget in budgets)
    assert budgets[0] is not None
    assert budgets[0] <= 50


def test_an_interrupt_reports_what_was_measured(on: Use, capsys: Capture) -> None:
    on(Machine(product({"compile": 2.0}), statuses={1: "interrupted"}))
    code, out = run(capsys, MODES)
    assert code == 2
    assert "Interrupted in step 1: the result is what was measured so far." in out
    assert "Not decided at batch 1, without a final run: the fastest so far is compile." in out


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (("googlnet",), "did you mean 'googlenet'?"),
        (("torchvision:resnet*",), "takes one network, and 'torchvision:resnet*' stands for"),
        ((TINY, "--modes", "compil"), "did you mean 'compile'?"),
        ((TINY, "--modes", "cudagraphs"), "does not run on cpu"),
        ((TINY, "--dtypes", "bf61", "--max-error", "0.1"), "did you mean 'bf16'?"),
        ((TINY, "--dtypes", "fp16", "--max-error", "0.1"), "does not run on cpu"),
        ((TINY, "--max-error", "0"), "--max-error must be a positive number, not 0"),
        ((TINY, "--max-error", "2"), "--max-error must be a share of at most 1, not 2"),
        ((TINY, "--max-error", "small"), "--max-error takes a number, not 'small'"),
        ((TINY, "--budget", "5"), "--budget must be at least 20 seconds, not 5"),
        ((TINY, "--sets", "1"), "--sets must be at least 2"),
        ((TINY, "--batch-sizes", "0"), "at least one image, not 0"),
    ],
)
def test_a_wrong_request_is_refused_in_one_line(
    capsys: Capture, words: tuple[str, ...], part: str
) -> None:
    assert main(["best", *words, *CPU]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("googlenet-bench: ")
    assert err.count("\n") == 1
    assert part in err


def test_somebody_else_s_file_is_not_replaced(tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / report.MARKDOWN).write_text("my notes")
    assert main(["best", TINY, *CPU, "--report-dir", str(tmp_path)]) == 2
    assert "contains best.md, which a run would replace" in capsys.readouterr().err


@pytest.mark.workers
def test_real_workers_of_two_dtypes_are_compared_and_reported(
    tmp_path: Path, capsys: Capture
) -> None:
    options = ("--modes=channels_last", "--dtypes=fp32,bf16", "--max-error=0.2", "--sets=2")
    words = [*options, "--foreign-cpus=100", "--precision=1", "--report-dir", str(tmp_path)]
    code = main(["best", TINY, *CPU, *words])
    out, err = capsys.readouterr()
    assert code in {0, 3}, err
    assert "with torch.inference_mode():" in out
    rows = list(csv.DictReader((tmp_path / report.CSV).read_text().splitlines()))
    assert {(row["mode"], row["dtype"]) for row in rows} == {
        ("eager", "fp32"),
        ("channels_last", "fp32"),
        ("channels_last", "bf16"),
    }
    assert all(float(row["error"]) < 0.2 for row in rows)
    final = store.read(tmp_path / files.RUN_FILE)
    assert {record.cell.group for record in final.cells} == {"b1/infer/cpu"}
    assert [control.cell.dtype for control in final.controls] == ["fp32"]
    command = final.plan.command
    assert command is not None
    assert command.startswith(
        f"googlenet-bench best {TINY} --modes channels_last --dtypes fp32,bf16"
    )
    assert "--report-dir" not in command
    text = (tmp_path / report.MARKDOWN).read_text()
    assert text.startswith(report.TITLE)
    assert "```python\nimport torch" in text
