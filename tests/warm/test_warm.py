"""A warm process is like one of the interpreter."""

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.warm import client
from tests.warm.interpreter import COLD, ROOT

TELLS = """
import json, os, signal, sys
json.dump({
    "arguments": sys.argv, "folder": os.getcwd(), "path": sys.path[:2], "name": __name__,
    "variables": dict(os.environ), "safe": bool(sys.flags.safe_path),
    "imported": "torch" in sys.modules,
    "files": sorted(map(int, os.listdir("/proc/self/fd")))[:-1], "own": "tests" in sys.modules,
    "interrupts": signal.getsignal(signal.SIGINT) is signal.default_int_handler,
    "read": sys.stdin.read(),
}, sys.stdout)
print("last words", file=sys.stderr)
sys.exit(int(sys.argv[1]))
"""


@pytest.fixture(scope="module")
def program(warm_python: str) -> str:
    """Wait for the imports of the server that all tests use."""
    if warm_python == COLD:
        pytest.skip("processes are warm on Linux only, and not with --cold")
    while not Path(warm_python).with_name("socket").exists():
        time.sleep(0.1)
    return warm_python


@pytest.fixture
def script(tmp_path: Path) -> Path:
    script = tmp_path / "tells.py"
    script.write_text(TELLS)
    return script


@pytest.mark.parametrize("options", [(), ("-P",)])
def test_a_script_sees_what_it_sees_in_a_new_interpreter(
    program: str, script: Path, options: tuple[str, ...]
) -> None:
    told = []
    for python in (COLD, program):
        ended = subprocess.run(
            [python, *options, script, "3", "last argument"],
            cwd=script.parent,
            env={**os.environ, "OWN": "1", "PWD": str(script.parent), "PYTHONPATH": "/nowhere"},
            input="some text",
            capture_output=True,
            text=True,
            check=False,
        )
        assert ended.returncode == 3
        assert ended.stderr == "last words\n"
        told.append(json.loads(ended.stdout))
    cold, forked = told
    assert (cold.pop("imported"), forked.pop("imported")) == (False, True)
    assert cold["variables"]["OWN"] == "1"
    assert forked == cold


@pytest.mark.parametrize(
    ("code", "status", "error"),
    [
        ("raise SystemExit('a sentence')", 1, "a sentence\n"),
        ("import os; os.kill(os.getpid(), 9)", -signal.SIGKILL, ""),
        ("raise KeyboardInterrupt", -signal.SIGINT, "KeyboardInterrupt"),
        ("import atexit; atexit.register(print, 'at the end', file=__import__('sys').stderr)", 0,
         "at the end\n"),
    ],
)  # fmt: skip
def test_it_ends_as_the_fork_ends(
    program: str, tmp_path: Path, code: str, status: int, error: str
) -> None:
    (tmp_path / "ends.py").write_text(f"import sys\nassert 'torch' in sys.modules\n{code}\n")
    ended = subprocess.run(
        [program, "ends.py"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert ended.returncode == status
    assert error in ended.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_signal_to_the_program_reaches_the_fork(
    program: str, tmp_path: Path, number: signal.Signals
) -> None:
    """The pipe's other end sees when the fork has ended."""
    (tmp_path / "waits.py").write_text("import time\nprint('begun', flush=True)\ntime.sleep(60)\n")
    with subprocess.Popen(
        [program, "waits.py"], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"begun\n"
        process.send_signal(number)
        assert process.stdout.read() == b""
        assert process.wait() == -number


def test_a_variable_that_is_read_early_is_given_to_the_interpreter(
    program: str, script: Path
) -> None:
    ended = subprocess.run(
        [program, script, "0"],
        env={**os.environ, "TORCH_LOGS": "+dynamo"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        check=True,
    )
    assert json.loads(ended.stdout)["imported"] is False


def test_a_process_of_pytest_xdist_is_a_fork_in_which_the_interpreter_is_its_own(
    program: str,
) -> None:
    """The tests start warm processes with what they are given, and cold ones with their own."""
    execnet = pytest.importorskip("execnet.gateway_io")
    assert execnet.popen_bootstrapline == client.EXECNET
    with subprocess.Popen(
        [program, "-u", "-c", client.EXECNET],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        told, _ = process.communicate("\"print(sys.executable, 'torch' in sys.modules)\"\n")
    assert told == f"{COLD} True\n"


def test_own_modules_with_names_of_libraries_are_imported(program: str, tmp_path: Path) -> None:
    (tmp_path / "pandas.py").write_text("NAME = 'own'\n")
    (tmp_path / "uses.py").write_text("import pandas\nprint(pandas.NAME)\n")
    command = [program, "uses.py"]
    assert subprocess.check_output(command, cwd=tmp_path, text=True) == "own\n"


PRINTS = "import bench, sys\nprint(bench.__file__, 'bench.worker.worker' in sys.modules)\n"


def test_the_project_s_code_is_that_to_which_the_path_leads(program: str, tmp_path: Path) -> None:
    """It is already imported if the path leads to the code of these tests."""
    other = tmp_path / "other"
    (other / "bench").mkdir(parents=True)
    (other / "bench" / "__init__.py").touch()
    (tmp_path / "prints.py").write_text(PRINTS)
    told = [
        subprocess.check_output(
            [program, "prints.py"],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(path)},
            text=True,
        )
        for path in (ROOT, other)
    ]
    assert told == [
        f"{ROOT / 'bench/__init__.py'} True\n",
        f"{other / 'bench/__init__.py'} False\n",
    ]


@pytest.mark.parametrize(
    ("command", "is_forked"),
    [
        (("-m", "bench", "run"), True),
        (("-P", "-m", "pytest"), True),
        (("/some/bench/launch/run_module.py", "bench.launch.forkserver", "3"), True),
        (("/some/bench/launch/run_module.py", "bench.worker.worker"), False),
        (("-u", "-c", client.EXECNET), True),
        (("-u", "-m", "bench", "run"), False),
        (("-c", "import torch"), False),
        (("-W", "error", "-m", "bench"), False),
        (("-m", "pip"), False),
        (("--version",), False),
    ],
)
def test_only_known_commands_are_forked(command: tuple[str, ...], is_forked: bool) -> None:
    assert client.forks(command) is is_forked
