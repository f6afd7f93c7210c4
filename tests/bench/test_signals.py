import signal
import subprocess
import sys

from bench.engine.launch import ROOT

WRITES = """
import time
from bench.signals import terminated_like_interrupted
with terminated_like_interrupted():
    try:
        print('measuring', flush=True)
        time.sleep(60)
    except KeyboardInterrupt:
        print('writing', flush=True)
        time.sleep(1)
        print('written', flush=True)
"""


def test_whoever_is_terminated_writes_to_the_end_whatever_else_comes() -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", WRITES], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "measuring\n"
    process.send_signal(signal.SIGTERM)
    assert process.stdout.readline() == "writing\n"
    for again in (signal.SIGTERM, signal.SIGINT):
        process.send_signal(again)
    assert process.communicate(timeout=60)[0] == "written\n"
    assert process.returncode == 0
