from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from statistics import geometric_mean

import pytest

from bench.launch.process import WorkerError
from bench.studies.selfcheck import bias, handover, report, scale, startup
from bench.studies.selfcheck.command import _biases, _cells, main
from bench.studies.selfcheck.report import Selfcheck
from bench.studies.selfcheck.scale import Scale
from bench.studies.selfcheck.synthetic import Size
from tests.bench import runs
from tests.bench.engine.running import Watcher
from tests.bench.studies.selfcheck.test_startup import set_of


def scale_of(cells: int, seconds: float) -> Scale:
    """Return a size with 1,000 samples per cell whose planning takes ``seconds``."""
    return Scale(
        size=Size(cells=cells, groups=1, samples=1000 * cells),
        stages_s={scale.PLANNING: seconds},
        peak_bytes=100_000_000,
        journal_bytes=1_000_000,
        run_file_bytes=2_000_000,
    )


RESULT = Selfcheck(
    environment=runs.in_environment(runs.small(), device_name="AMD | EPYC").environment,
    biases=(
        bias.summarize(runs.EAGER, [0.01, 0.01], [0.01, 0.01], 123e-9),
        bias.summarize(runs.COMPILED, [0.02, 0.02], [0.01, 0.01], 123e-9),
    ),
    startups=(
        startup.summarize("fresh interpreters", [set_of(1.0, 1.0)]),
        startup.summarize("forked", [set_of(1.0, 1.0, 1.0)]),
    ),
    handovers=(
        handover.summarize(None, [[1.0, 1.0, 1.0]]),
        handover.summarize(0.005, [[1.25, 1.125, 1.0]]),
    ),
    idleness=handover.Idleness(exchange_s=0.00125, cpu_share=0.0625, workers=7),
    scales={"one group": (scale_of(10, 1.0), scale_of(100, 12.0))},
)


def row(page: str, name: str) -> list[str]:
    """Return the values of the table row that begins with ``name``."""
    (line,) = [line for line in page.splitlines() if line.startswith(f"| {name}")]
    return [value.strip() for value in line.strip("|").split("|")][1:]


def test_the_table_shows_each_bias_and_its_verdict() -> None:
    page = report.render(RESULT)
    assert row(page, "googlenet/eager") == ["10.0", "1.0000 (1.0000–1.0000)", "yes", "123"]
    assert row(page, "googlenet/compile") == ["20.0", "2.0000 (2.0000–2.0000)", "NO", "123"]


def test_on_cuda_the_table_has_host_latency_and_device_span() -> None:
    device = bias.on_device([0.008, 0.008], [0.008, 0.008], 0.011)
    cell = replace(runs.EAGER, device="cuda")
    page = report.render(
        replace(RESULT, biases=(bias.summarize(cell, [0.01] * 2, [0.01] * 2, 123e-9, device),))
    )
    ratio = "1.0000 (1.0000–1.0000)"
    assert row(page, "googlenet/eager") == ["10.0", ratio, "11.0", "8.00", ratio, "yes", "123"]
    assert "do_bench" in page
    assert "do_bench" not in report.render(RESULT)


def test_the_table_has_a_row_for_each_way_of_starting_workers() -> None:
    page = report.render(RESULT)
    assert row(page, "fresh interpreters") == ["8.0", "8.0", "5.0", "0.00", "1"]
    assert row(page, "forked") == ["8.0", "8.0", "5.0", "0.00", "1"]


def test_the_page_shows_hand_overs_and_idle_cost() -> None:
    page = report.render(RESULT)
    assert row(page, "another worker, a pause of 5 ms") == ["25.0", "12.5"]
    assert row(page, "the same worker, no pause") == ["0.0", "0.0"]
    assert "takes 1.25 ms" in page
    assert "Together, 7 idle workers use 0.062 CPUs" in page


def test_the_table_shows_the_growth_of_each_stage() -> None:
    page = report.render(RESULT)
    assert "**One group**" in page
    assert row(page, "planning") == ["1.000", "12.000", "12.0"]


def test_only_measured_parts_have_a_section() -> None:
    page = report.render(Selfcheck(environment=RESULT.environment, biases=RESULT.biases))
    assert [line for line in page.splitlines() if line.startswith("## ")] == ["## Bias"]
    headings = [line for line in report.render(RESULT).splitlines() if line.startswith("## ")]
    assert headings == ["## Bias", "## Start-up", "## Hand-over", "## Scale"]


def test_names_are_escaped() -> None:
    assert "AMD &#124; EPYC" in report.render(RESULT)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--device", "tpu"], "no device is called 'tpu'"),
        (["--sets", "0"], "--sets must be at least 1, not 0"),
        (["--parts", "bias,nonsense"], "no part is called 'nonsense'"),
    ],
)
def test_a_wrong_request_ends_with_a_message(
    options: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(options) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("suite_s", "stage_s", "status"),
    [
        ((0.01, 0.01), 1.0, 0),
        ((0.02, 0.02), 1.0, 1),
        ((0.01, 0.01), scale.ACCEPTED_S * 1.01, 1),
        ((0.008, 0.0125), 1.0, 3),
    ],
)
def test_the_page_is_written_and_the_exit_status_shows_the_verdict(
    suite_s: tuple[float, float],
    stage_s: float,
    status: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    result = replace(
        RESULT,
        biases=(bias.summarize(runs.EAGER, suite_s, [0.01] * 2, 0.0),),
        scales={"one group": (scale_of(10, 0.1), scale_of(100, stage_s))},
    )
    monkeypatch.setattr("bench.studies.selfcheck.command.check", lambda *_: iter([result]))
    assert main(["--device", "cpu", "--report-dir", str(tmp_path)]) == status
    page = (tmp_path / report.FILE).read_text()
    assert row(page, "planning")[:2] == ["0.100", f"{stage_s:.3f}"]
    assert row(page, "googlenet/eager")[1].startswith(f"{geometric_mean(suite_s) / 0.01:.4f}")


@pytest.mark.parametrize(("device", "batch_size"), [("cpu", 1), ("cuda:1", 128)])
def test_clocks_are_compared_where_the_device_is_the_bottleneck(
    device: str, batch_size: int
) -> None:
    assert {cell.batch_size for cell in _cells(device)} == {batch_size}


def test_the_bias_of_a_cell_is_kept_even_if_the_next_cell_fails(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def measure(*_: object, **__: object) -> Iterator[bias.Bias]:
        yield RESULT.biases[0]
        raise WorkerError("died", "it died")

    monkeypatch.setattr(bias, "measure", measure)
    results = _biases("cpu", Watcher())
    assert next(results) == (RESULT.biases[0],)
    with pytest.raises(WorkerError):
        next(results)


@pytest.mark.parametrize("error", [WorkerError("died", "it died"), KeyboardInterrupt()])
def test_results_are_written_even_if_the_check_is_cut_short(
    error: BaseException,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    measured = Selfcheck(environment=RESULT.environment, biases=RESULT.biases)

    def check(*_: object) -> Iterator[Selfcheck]:
        yield measured
        raise error

    monkeypatch.setattr("bench.studies.selfcheck.command.check", check)
    assert main(["--device", "cpu", "--report-dir", str(tmp_path)]) == 2
    page = (tmp_path / report.FILE).read_text()
    assert row(page, "googlenet/compile")[0] == "20.0"
    assert "## Scale" not in page
    assert ("it died" if isinstance(error, WorkerError) else "interrupted") in (
        capsys.readouterr().err
    )
