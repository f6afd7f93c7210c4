"""``measure``, with real workers and tiny networks."""

import inspect
import os
import signal
from dataclasses import fields
from pathlib import Path

import pytest
from rich.console import Console

from bench import MeasuredRun, RequestError, load, measure
from bench.api.call import MeasureCall
from bench.api.measure_request import MeasureRequest
from bench.api.progress import TerminalProgress
from bench.cells.modes import missing
from bench.means import Interval
from bench.records import journal
from tests.bench.engine.running import Watcher

TINY, BROKEN = "tests.bench.tiny:net", "tests.bench.broken:raises_when_warmed_up"
OTHER = "tests.bench.tiny:of_ten_classes"
SILENT = TerminalProgress(Console(quiet=True))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("report")


@pytest.fixture(scope="module")
def run(folder: Path) -> MeasuredRun:
    """Measure two networks that work and one that fails."""
    return measure(
        archs=[TINY, OTHER, BROKEN],
        modes=["eager"],
        batch_sizes=[2],
        image_size=32,
        device="cpu",
        sets=2,
        rounds=2,
        precision=1.0,
        foreign_cpus=100.0,
        ceiling=False,
        seed=1,
        report_dir=folder,
        progress=SILENT,
    )


@pytest.mark.workers
def test_two_networks_are_compared(run: MeasuredRun) -> None:
    rows = run.to_pandas().set_index("arch")
    assert rows["status"].to_dict() == {TINY: "measured", OTHER: "measured", BROKEN: "failed"}
    interval = run.ratio(OTHER, TINY)
    assert isinstance(interval, Interval)
    assert interval.sets == 2
    assert interval.estimate > 0
    # The first network is the reference.
    assert interval.estimate == rows.loc[OTHER, "speedup_over_reference"]
    assert TINY in str(run)
    assert f"{BROKEN}/eager/fp32/b2/infer/cpu has no figures: " in str(run)


@pytest.mark.workers
def test_the_record_has_the_circumstances(run: MeasuredRun) -> None:
    assert run.record.status == "complete"
    assert run.record.plan.seed == 1
    command = str(run.record.plan.command)
    assert command.startswith(f"measure(archs=['{TINY}', '{OTHER}', '{BROKEN}'], modes=['eager']")
    assert "report_dir" not in command
    assert run.record.machine_info["system"] == os.uname().sysname
    assert "node" not in run.record.machine_info
    assert "id" in run.record.commit_info


@pytest.mark.workers
def test_a_journal_is_kept_until_the_run_is_saved(run: MeasuredRun, folder: Path) -> None:
    assert [path.name for path in folder.iterdir()] == [journal.FILE]
    from_journal = load(folder / journal.FILE)
    figures = ["latency_s", "speedup_over_reference"]
    assert from_journal.to_pandas()[figures].equals(run.to_pandas()[figures])
    run.save(folder)
    assert not (folder / journal.FILE).exists()
    assert load(folder).to_pandas().equals(run.to_pandas())


@pytest.mark.workers
def test_an_interrupt_returns_what_was_measured() -> None:
    class Interrupter(Watcher):
        """Sends Ctrl-C in the second set."""

        def phase(self, name: str, total: int) -> None:
            super().phase(name, total)
            if name.startswith("set 2"):
                os.kill(os.getpid(), signal.SIGINT)

    handler = signal.getsignal(signal.SIGINT)
    run = measure(
        archs=TINY,
        modes="eager",
        batch_sizes=(2,),
        image_size=32,
        device="cpu",
        sets=2,
        rounds=1,
        precision=1.0,
        foreign_cpus=100.0,
        ceiling=False,
        progress=Interrupter(),
    )
    assert run.record.status == "interrupted"
    assert run.to_pandas()["sets"].to_list() == [1]
    assert signal.getsignal(signal.SIGINT) is handler


def test_an_interrupt_before_the_first_figure_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("bench.engine.local.resources.launcher", interrupt)
    with pytest.raises(KeyboardInterrupt):
        measure(archs=TINY, device="cpu", progress=SILENT)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (MeasureCall(archs=["gogglenet"]), "no arch is called 'gogglenet'; did you mean 'goo"),
        (MeasureCall(archs=[]), "nothing to measure: each list of names needs at least one entry"),
        (MeasureCall(sets=0), "--sets must be at least 1, not 0"),
        (MeasureCall(profile="quik"), "no profile is called 'quik'"),
        (MeasureCall(resume=True), "--resume needs --report-dir, the folder of the interrupted"),
        (MeasureCall(report_dir=""), "--report-dir is empty"),
    ],
)
def test_a_wrong_request_is_refused(
    call: MeasureCall, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class NoLauncher:
        def __enter__(self) -> None: ...
        def __exit__(self, *_: object) -> None: ...

    monkeypatch.setattr("bench.engine.local.resources.launcher", lambda *_, **__: NoLauncher())
    arguments = {each.name: getattr(call, each.name) for each in fields(call)}
    with pytest.raises(RequestError, match=message):
        measure(**{**arguments, "device": "cpu", "progress": SILENT})


def test_a_mode_whose_library_is_missing_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not missing("eager")
    monkeypatch.setattr("bench.cells.modes.missing", lambda mode: f"{mode} needs nothing_like_it")
    with pytest.raises(RequestError, match="eager needs nothing_like_it"):
        measure(archs=TINY, modes="eager", device="cpu", progress=SILENT)


def test_the_parameters_are_the_options() -> None:
    parameters = inspect.signature(measure).parameters
    expected = {each.name: each.default for each in fields(MeasureRequest)}
    assert {name: each.default for name, each in parameters.items()} == {
        **expected,
        "progress": None,
        "project": False,
    }
    documentation = inspect.getdoc(measure) or ""
    assert all(f"\n{name}" in documentation for name in parameters)
    assert "95 % interval" in " ".join(documentation.split())


@pytest.mark.workers
def test_networks_for_images_of_different_sizes_are_measured_in_one_run() -> None:
    made_for_48 = "tests.bench.tiny:for_images_of_48"
    run = measure(
        archs=[TINY, made_for_48],
        modes=["eager"],
        batch_sizes=[1],
        device="cpu",
        sets=2,
        rounds=2,
        precision=1.0,
        foreign_cpus=100.0,
        ceiling=False,
        progress=SILENT,
    )
    rows = run.to_pandas().set_index("arch")
    assert rows["image_size"].to_dict() == {TINY: 224, made_for_48: 48}
    # A linear layer 3 × 48 × 48 → 10: it was counted on the images that were timed.
    assert rows.loc[made_for_48, "macs_per_image"] == 3 * 48 * 48 * 10
    assert run.ratio(made_for_48, TINY).sets == 2
