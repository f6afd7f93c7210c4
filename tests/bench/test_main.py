import subprocess
import sys

import pytest

from tests.limits import HANG_S

# A program that sends itself a real SIGINT when Python imports a given module.
_INTERRUPTED = """
import os, runpy, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # background processes ignore it
at = sys.argv.pop(1)
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == at:
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Finder())
runpy.run_module(sys.argv.pop(1), run_name="__main__")
"""


@pytest.mark.parametrize(
    ("module", "program", "imported"),
    [
        ("bench", "googlenet-bench", "bench.cli"),
        ("bench", "googlenet-bench", "pandas"),  # imported by the command line
        ("bench", "googlenet-bench", "googlenet.model"),  # imported by a command
        ("bench.studies.changes", "changes", "pandas"),
        ("bench.studies.power", "gate_power", "pandas"),
        ("bench.studies.selfcheck", "selfcheck", "pandas"),
        ("bench.studies.sharpness", "sharpness", "pandas"),
        ("bench.gpu", "gpu", "pandas"),
    ],
)
def test_an_interrupt_during_an_import_prints_a_message(
    module: str, program: str, imported: str
) -> None:
    arguments = ["cost", "googlenet"] if module == "bench" else []
    command = [sys.executable, "-c", _INTERRUPTED, imported, module, *arguments]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=HANG_S)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr == f"{program}: interrupted\n"
