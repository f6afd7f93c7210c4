import subprocess
import sys

import pytest

# A real SIGINT, at the moment in which Python looks for a module.
_INTERRUPTED = """
import os, runpy, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background ignores it
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
        ("bench", "googlenet-bench", "pandas"),  # the command line's libraries
        ("bench", "googlenet-bench", "googlenet.model"),  # a command's
        ("bench.power", "gate_power", "pandas"),
        ("bench.selfcheck", "selfcheck", "pandas"),
        ("bench.sharpness", "sharpness", "pandas"),
        ("bench.gpu", "gpu", "pandas"),
    ],
)
def test_an_interrupt_ends_in_a_sentence_from_the_first_import_on(
    module: str, program: str, imported: str
) -> None:
    asked = ["cost", "googlenet"] if module == "bench" else []
    command = [sys.executable, "-c", _INTERRUPTED, imported, module, *asked]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr == f"{program}: interrupted\n"
