"""What one new file of a user's own adds: an executor, a rewrite and a source."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from bench import archs, registry
from bench.cells import modes
from bench.errors import RequestError
from bench.executors import EXECUTORS
from bench.executors.executor import Executor
from bench.records import store
from bench.registry import Registry
from bench.report import frame
from tests.limits import HANG_S

pytestmark = pytest.mark.workers

ROOT = Path(__file__).resolve().parents[2]
PLUGIN = "tests.bench.plugin"


def python(*arguments: str, plugins: str = PLUGIN) -> subprocess.CompletedProcess[str]:
    variables = {**os.environ, registry.VARIABLE: plugins}
    return subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=ROOT,
        env=variables,
        capture_output=True,
        text=True,
        check=False,
        timeout=HANG_S,
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("report")


@pytest.fixture(scope="module")
def measured(folder: Path) -> subprocess.CompletedProcess[str]:
    return python(
        *("pytest", "bench/suite", "-rs", "-p", "no:cacheprovider"),
        *("--foreign-cpus=100", "--precision=1", "--no-ceiling", "--sets=2", "--rounds=3"),
        *("--archs=blocks:1,blocks:2", "--modes=eager,through-numpy,halves,missing"),
        "--batch-sizes=2",
        f"--report-dir={folder}",
    )


def test_it_is_measured_and_what_is_not_installed_is_skipped(
    measured: subprocess.CompletedProcess[str],
) -> None:
    assert measured.returncode == 0, measured.stdout + measured.stderr
    assert "6 passed, 2 skipped" in measured.stdout
    assert (
        "missing needs no_such_library, which is not installed: "
        'pip install "googlenet-bench[nothing]"'
    ) in " ".join(measured.stdout.split())


@pytest.mark.usefixtures("measured")
def test_it_is_in_the_run_file_and_the_reports_and_is_compared(folder: Path) -> None:
    run = store.read(folder / "run.json")
    cells = {(record.cell.arch, record.cell.mode) for record in run.cells}
    assert cells == {
        (f"blocks:{count}", mode)
        for count in (1, 2)
        for mode in ("eager", "through-numpy", "halves")
    }
    assert frame.summary(run)["output_error"].max() < 1e-5
    settings = [record.setups[0].executor_settings for record in run.cells]
    assert {"arrays": "numpy"} in settings
    report = (folder / "report.md").read_text(encoding="utf-8")
    assert "through-numpy" in report
    assert "arrays: numpy" in report
    compared = python(
        *("bench", "compare", *2 * [str(folder / "run.json")], "--format=json"), plugins=""
    )
    assert compared.returncode in {0, 3}, compared.stderr
    assert "blocks:2/through-numpy" in json.dumps(json.loads(compared.stdout))


def test_it_is_listed() -> None:
    shown = python("bench", "modes", "--format=csv")
    assert "through-numpy,executor" in shown.stdout
    assert "halves,rewrite" in shown.stdout
    assert "missing needs no_such_library" in shown.stdout


def test_a_plugin_that_cannot_be_imported_is_a_wrong_request() -> None:
    shown = python("bench", "modes", plugins="no.such.plugin")
    assert shown.returncode == 2
    assert shown.stdout == ""
    assert (
        "the plugin no.such.plugin of GOOGLENET_BENCH_PLUGINS cannot be imported: ModuleNotFound"
        in shown.stderr
    )
    assert "Traceback" not in shown.stderr


def test_a_dtype_that_an_executor_does_not_run_is_a_wrong_request() -> None:
    shown = python(
        *("pytest", "bench/suite", "-p", "no:cacheprovider"),
        *("--archs=blocks:1", "--modes=through-numpy", "--dtypes=bf16"),
    )
    assert shown.returncode == 4
    assert "executor 'through-numpy' supports fp32, not bf16" in shown.stderr


def test_registries_hold_what_their_packages_define() -> None:
    assert {"eager", "compile", "max-autotune", "reduce-overhead", "cudagraphs"} <= set(EXECUTORS)
    assert {"registry", "torchvision", "factory"} <= set(archs.SOURCES)
    assert "channels_last" in modes.tokens()


def test_a_plugin_that_cannot_be_imported_does_not_affect_other_names() -> None:
    """So the base of a gate may lack the plugin of head."""
    shown = python("bench", "cost", "tests.bench.factories:tiny", plugins="no.such.plugin")
    assert shown.returncode == 0, shown.stderr
    unknown = python("bench", "cost", "blocks:1", plugins="no.such.plugin")
    assert unknown.returncode == 2
    assert "the plugin no.such.plugin of GOOGLENET_BENCH_PLUGINS cannot be" in unknown.stderr


@pytest.mark.parametrize(
    ("definition", "message"),
    [
        ("replace(EAGER, name='a+b')", r"'a\+b' in bad_names cannot be a name: it contains one of"),
        ("replace(EAGER, what='another')", r"two entries of bench.executors are called 'eager'"),
    ],
)
def test_an_entry_with_an_invalid_name_is_a_wrong_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, definition: str, message: str
) -> None:
    (tmp_path / "bad_names.py").write_text(
        "from dataclasses import replace\n"
        "from bench.executors.eager import EAGER\n"
        f"ENTRY = {definition}\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "bad_names", raising=False)
    monkeypatch.setenv(registry.VARIABLE, "bad_names")
    with pytest.raises(RequestError, match=message):
        list(Registry(Executor, "bench.executors"))


def test_two_sources_of_one_prefix_are_a_wrong_request(monkeypatch: pytest.MonkeyPatch) -> None:
    second = replace(archs.SOURCES["torchvision"], name="second")
    monkeypatch.setattr(archs, "SOURCES", {**archs.SOURCES, "second": second})
    with pytest.raises(RequestError, match="torchvision and second have the same prefix"):
        archs.find("torchvision:resnet18")


def test_the_code_of_a_run_includes_its_plugins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(registry.VARIABLE, PLUGIN)
    assert registry.plugin_files() == (ROOT / "tests/bench/plugin.py",)
