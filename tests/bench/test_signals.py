import signal
import subprocess
import sys

import pytest

from bench.engine.launch import ROOT
from bench.signals import ending

REAL_TIME = signal.SIGRTMIN + 6  # Python names the first and the last of them alone
WRITES = """
import time
from bench.signals import {heard}
with {heard}():
    try:
        print('measuring', flush=True)
        time.sleep(60)
    except KeyboardInterrupt:
        print('writing', flush=True)
        time.sleep(1)
        print('written', flush=True)
"""
ONLY_WRITES = """
import time
from bench.signals import ignore, interrupted_once
with interrupted_once():
    ignore()
    print('writing', flush=True)
    time.sleep(1)
    print('written', flush=True)
try:
    print('measuring', flush=True)
    time.sleep(60)
except KeyboardInterrupt:
    print('interrupted', flush=True)
"""
BOTH = (signal.SIGTERM, signal.SIGINT)


def started(program: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize(
    ("heard", "first", "answers"),
    [
        ("terminated_like_interrupted", signal.SIGTERM, 0),
        ("interrupted_once", signal.SIGTERM, 1),
        ("interrupted_once", signal.SIGINT, 1),
    ],
)
def test_whoever_is_ended_writes_to_the_end_whatever_else_comes(
    heard: str, first: signal.Signals, answers: int
) -> None:
    process = started(WRITES.format(heard=heard))
    assert process.stdout is not None
    assert process.stdout.readline() == "measuring\n"
    process.send_signal(first)
    assert process.stdout.readline() == "writing\n"
    for again in BOTH:
        process.send_signal(again)
    written, said = process.communicate(timeout=60)
    assert written == "written\n"
    assert said.count("what was measured is being written") == answers
    assert process.returncode == 0


def test_whoever_only_writes_is_not_interrupted_until_that_is_done() -> None:
    process = started(ONLY_WRITES)
    assert process.stdout is not None
    assert process.stdout.readline() == "writing\n"
    for one in BOTH:
        process.send_signal(one)
    assert process.stdout.readline() == "written\n"
    assert process.stdout.readline() == "measuring\n"
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=60) == ("interrupted\n", "")


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (0, "ended with exit status 0"),
        (3, "ended with exit status 3"),
        (-signal.SIGSEGV, "was killed by SIGSEGV"),
        (-signal.SIGKILL, "was killed by SIGKILL (the system may have been out of memory)"),
        (-REAL_TIME, f"was killed by signal {REAL_TIME}"),
    ],
)
def test_how_a_process_ended_is_told_by_name_where_there_is_one(status: int, words: str) -> None:
    assert ending(status) == words
