"""``pytest --googlenet-bench``, in a project with tests of its own."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.limits import HANG_S
from tests.warm.interpreter import COLD

ROOT = Path(__file__).resolve().parents[3]
SAMPLE = ROOT / "tests" / "sample"
PLUGIN = ("-p", "pytest_googlenet_bench", "-p", "no:cacheprovider")


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copy what a wheel installs; beside it there is no conftest.py, as in this checkout."""
    folder = tmp_path_factory.mktemp("installed")
    ignored = shutil.ignore_patterns("__pycache__", "studies")
    for name in ("bench", "googlenet"):
        shutil.copytree(ROOT / name, folder / name, ignore=ignored)
    shutil.copy(ROOT / "pytest_googlenet_bench.py", folder)
    return folder


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Copy the sample project."""
    return Path(shutil.copytree(SAMPLE, tmp_path / "sample"))


def run(
    installed: Path, project: Path, *options: str, **more: str
) -> subprocess.CompletedProcess[str]:
    """Run the tests of a project, as the command ``pytest`` does after an installation."""
    return subprocess.run(
        [sys.executable, "-P", "-m", "pytest", *PLUGIN, *options],
        cwd=project,
        env={**os.environ, "PYTHONPATH": str(installed), **more},
        capture_output=True,
        text=True,
        check=False,
        timeout=HANG_S,
    )


def test_cells_are_collected_beside_the_project_s_tests(installed: Path, project: Path) -> None:
    ended = run(
        installed, project, "--googlenet-bench", "--collect-only", "-q", "checks/test_own.py"
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "checks/test_own.py::test_sum" in ended.stdout
    for name in ("small", "wide"):
        cell = f"bench/nets.py:{name}/eager/fp32/b1/infer/cpu"
        assert f"::test_cell[{cell}]" in ended.stdout
    assert "3 tests collected" in ended.stdout


def test_cells_are_collected_from_a_virtual_environment_in_the_project(
    installed: Path, project: Path
) -> None:
    """Neither arguments nor testpaths, and settings that collect no function of the suite."""
    packages = project / ".venv" / "lib" / "python3" / "site-packages"
    shutil.copytree(installed, packages)
    (project / ".venv" / "pyvenv.cfg").touch()
    settings = project / "pyproject.toml"
    settings.write_text(
        settings.read_text().replace(
            'testpaths = ["checks"]',
            'python_files = ["test_own.py"]\npython_functions = ["test_s*"]',
        )
    )
    ended = run(packages, project, "--googlenet-bench", "--collect-only", "-q")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "3 tests collected" in ended.stdout


CONFTEST = """
import pytest

@pytest.fixture
def cell():
    return "own cell"

@pytest.fixture
def records():
    return "own records"
"""
TESTS_BESIDE = """
def test_own_fixtures(cell, records):
    assert (cell, records) == ("own cell", "own records")

def test_of_the_name_that_a_gate_has():
    pass
"""
NETWORK = """
import torch

def tiny():
    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(784, 10))

def slow_to_fail():
    raise OSError("no weights")
"""


def _write_networks(project: Path, arch: str, more: str = "") -> None:
    """Replace the sample's networks by one of these, with a test that has names of the suite's."""
    (project / "nets.py").write_text(NETWORK)
    shutil.rmtree(project / "checks")
    (project / "conftest.py").write_text(CONFTEST)
    (project / "test_verdicts.py").write_text(TESTS_BESIDE)
    (project / "pyproject.toml").write_text(
        f'[tool.pytest.ini_options]\nfilterwarnings = ["error"]\n{more}\n'
        f'[tool.googlenet-bench]\narchs = ["nets.py:{arch}"]\nmodes = ["eager"]\n'
        'batch-sizes = [1]\ninput-shape = "1x28x28"\nforeign-cpus = 100\n'
    )


@pytest.mark.workers
def test_cells_are_measured_beside_tests(installed: Path, project: Path) -> None:
    """A timeout for tests does not apply: the first item measures all cells."""
    _write_networks(project, "tiny", "timeout = 2")
    ended = run(installed, project, "--googlenet-bench")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "3 passed" in ended.stdout
    (folder,) = (project / "reports").iterdir()
    assert {"run.json", "report.md"} <= {path.name for path in folder.iterdir()}
    assert f"wrote {folder / 'run.json'}" in ended.stdout


@pytest.mark.workers
def test_an_error_fails_the_cells_and_not_the_session(installed: Path, project: Path) -> None:
    _write_networks(project, "slow_to_fail")
    (project / "test_later.py").write_text("def test_later():\n    pass\n")
    ended = run(installed, project, "--googlenet-bench")
    assert ended.returncode == pytest.ExitCode.TESTS_FAILED, ended.stdout + ended.stderr
    assert "no weights" in ended.stdout
    assert "3 passed, 1 " in ended.stdout


def test_a_selection_may_leave_no_cell(installed: Path, project: Path) -> None:
    ended = run(installed, project, "--googlenet-bench", "-k", "test_sum", "checks/test_own.py")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "1 passed, 2 deselected" in ended.stdout


def test_without_the_option_the_plugin_imports_nothing_and_adds_no_other_option(
    installed: Path, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A test of the project asserts that bench is its own package, and torch not imported."""
    monkeypatch.setattr(sys, "executable", COLD)
    ended = run(installed, project, PYTHONPATH=f"{project}{os.pathsep}{installed}")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "2 passed" in ended.stdout
    listed = run(installed, project, "--help").stdout
    assert "--googlenet-bench" in listed
    assert "--archs" not in listed


@pytest.mark.parametrize("options", [("-n", "2"), ("--dist", "load", "--tx", "2*popen")])
def test_xdist_is_refused_in_a_sentence(
    installed: Path, project: Path, options: tuple[str, ...]
) -> None:
    ended = run(installed, project, "--googlenet-bench", *options)
    assert ended.returncode == pytest.ExitCode.USAGE_ERROR
    assert "pytest-xdist is enabled (-n, or --dist with --tx)" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_dist_without_processes_is_accepted(installed: Path, project: Path) -> None:
    """pytest-benchmark warns of it, which is an error in this project."""
    options = ("--dist", "load", "--collect-only", "-q", "-W", "default")
    ended = run(installed, project, "--googlenet-bench", *options)
    assert ended.returncode == 0, ended.stdout + ended.stderr


@pytest.mark.parametrize("library", ["pytest_benchmark", "torch"])
def test_a_library_that_is_not_installed_is_named_with_a_way_to_install_it(
    installed: Path, project: Path, library: str
) -> None:
    (project / "conftest.py").write_text(f"import sys\nsys.modules['{library}'] = None\n")
    ended = run(installed, project, "--googlenet-bench", "-p", "no:benchmark")
    assert ended.returncode == pytest.ExitCode.USAGE_ERROR
    how = 'pip install "googlenet-bench[measure]"'
    assert f"measuring needs {library}, which is not installed: {how}" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("option", ["--forked", "--looponfail"])
def test_processes_of_other_plugins_are_refused_in_a_sentence(
    installed: Path, project: Path, option: str
) -> None:
    if option == "--forked":  # a stand-in for pytest-forked; pytest-xdist has the other one
        own = (
            "def pytest_addoption(parser):\n    parser.addoption('--forked', action='store_true')\n"
        )
        (project / "conftest.py").write_text(own)
    ended = run(installed, project, "--googlenet-bench", option)
    assert ended.returncode == pytest.ExitCode.USAGE_ERROR
    assert f"{option} is given, but with pytest-" in ended.stderr
    assert "Traceback" not in ended.stderr


CODSPEED = """
def pytest_addoption(parser):
    parser.addoption("--codspeed", action="store_true")
"""


@pytest.mark.parametrize(
    ("options", "variables"), [(("--codspeed",), {}), ((), {"CODSPEED_ENV": "runner"})]
)
def test_codspeed_is_refused_in_a_sentence(
    installed: Path, project: Path, options: tuple[str, ...], variables: dict[str, str]
) -> None:
    """Its plugin is a stand-in with the same option."""
    (project / "conftest.py").write_text(CODSPEED)
    ended = run(installed, project, "--googlenet-bench", *options, **variables)
    assert ended.returncode == pytest.ExitCode.USAGE_ERROR
    assert "pytest-codspeed is enabled (--codspeed or CODSPEED_ENV)" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_session_without_pytest_benchmark_is_refused(installed: Path, project: Path) -> None:
    ended = run(installed, project, "--googlenet-bench", "-p", "no:benchmark")
    assert ended.returncode == pytest.ExitCode.USAGE_ERROR
    assert "pytest-benchmark is disabled or replaced" in ended.stderr


def test_a_project_without_archs_is_refused(installed: Path, project: Path) -> None:
    (project / "pyproject.toml").write_text("")
    ended = run(installed, project, "--googlenet-bench")
    assert ended.returncode == pytest.ExitCode.USAGE_ERROR
    assert f"in {project / 'pyproject.toml'}, which names none" in ended.stderr


def test_another_bench_that_is_already_imported_is_refused(installed: Path, project: Path) -> None:
    (project / "conftest.py").write_text("import bench\n")
    ended = run(
        installed, project, "--googlenet-bench", PYTHONPATH=f"{project}{os.pathsep}{installed}"
    )
    assert ended.returncode == pytest.ExitCode.USAGE_ERROR
    assert f"because {project / 'bench' / '__init__.py'} has the name" in ended.stderr


def run_command(
    installed: Path, project: Path, *options: str, **more: str
) -> subprocess.CompletedProcess[str]:
    """Run ``googlenet-bench run`` in a project, as after an installation."""
    main = "import sys; from bench.__main__ import main; sys.exit(main())"
    return subprocess.run(
        [sys.executable, "-P", "-c", main, "run", *options],
        cwd=project,
        env={**os.environ, "PYTHONPATH": str(installed), **more},
        capture_output=True,
        text=True,
        check=False,
        timeout=HANG_S,
    )


@pytest.mark.parametrize(
    ("options", "variables"), [(("-n", "2"), {}), ((), {"PYTEST_ADDOPTS": "-n 2"})]
)
def test_a_run_refuses_xdist_too(
    installed: Path, project: Path, options: tuple[str, ...], variables: dict[str, str]
) -> None:
    ended = run_command(installed, project, *options, **variables)
    assert ended.returncode == 2
    assert "pytest-xdist is enabled" in ended.stderr


def test_a_run_says_that_the_user_s_variable_disables_pytest_benchmark(
    installed: Path, project: Path
) -> None:
    ended = run_command(installed, project, PYTEST_ADDOPTS="-p no:benchmark")
    assert ended.returncode == 2
    assert "pytest-benchmark is disabled or replaced" in ended.stderr


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("conftest.py", "raise ImportError('no database')\n"),
        ("conftest.py", "def pytest_addoption(parser):\n    parser.addoption('--archs')\n"),
        ("pytest.ini", "[pytest]\naddopts = -n auto\n"),
        ("pytest.ini", "[pytest]\naddopts = -p no:benchmark --strict-markers -k nothing\n"),
        ("pytest.ini", "[pytest]\nfilterwarnings = error\npython_functions = no_*\n"),
        ("tox.ini", "[pytest]\naddopts = --no-such-option\n"),
    ],
)
def test_a_run_does_not_read_the_project_s_settings_of_pytest(
    installed: Path, project: Path, name: str, text: str
) -> None:
    """The virtual environment is in the project, so that its folders are above the suite's."""
    packages = project / ".venv" / "lib" / "python3" / "site-packages"
    shutil.copytree(installed, packages)
    (project / ".venv" / "pyvenv.cfg").touch()
    (project / name).write_text(text)
    ended = run_command(packages, project, "--device=cpu", "--collect-only", "-q")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "2 tests collected" in ended.stdout
