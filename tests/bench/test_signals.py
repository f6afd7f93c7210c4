import signal
import subprocess
import sys
import threading

import pytest

from bench.launch.launchers import ROOT
from bench.signals import ending, ignore_interrupts, single_interrupt
from tests.limits import HANG_S

REAL_TIME = signal.SIGRTMIN + 6  # Python names only the first and the last real-time signal
WRITES = """
import time
from bench.signals import {handler}
with {handler}():
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
from bench.signals import ignore_interrupts, single_interrupt
with single_interrupt():
    ignore_interrupts()
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
    ("handler", "first", "messages"),
    [
        ("sigterm_as_interrupt", signal.SIGTERM, 0),
        ("single_interrupt", signal.SIGTERM, 1),
        ("single_interrupt", signal.SIGINT, 1),
    ],
)
def test_further_signals_do_not_interrupt_the_writing(
    handler: str, first: signal.Signals, messages: int
) -> None:
    process = started(WRITES.format(handler=handler))
    assert process.stdout is not None
    assert process.stdout.readline() == "measuring\n"
    process.send_signal(first)
    assert process.stdout.readline() == "writing\n"
    for again in BOTH:
        process.send_signal(again)
    written, stderr = process.communicate(timeout=HANG_S)
    assert written == "written\n"
    assert stderr.count("stopping and writing the results") == messages
    assert process.returncode == 0


def test_signals_are_ignored_only_while_results_are_written() -> None:
    process = started(ONLY_WRITES)
    assert process.stdout is not None
    assert process.stdout.readline() == "writing\n"
    for number in BOTH:
        process.send_signal(number)
    assert process.stdout.readline() == "written\n"
    assert process.stdout.readline() == "measuring\n"
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=HANG_S) == ("interrupted\n", "")


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
def test_an_exit_status_is_described_with_the_name_of_its_signal(status: int, words: str) -> None:
    assert ending(status) == words


def test_another_thread_than_the_main_one_keeps_the_signals() -> None:
    def enter() -> None:
        with single_interrupt():
            ignore_interrupts()
            inside.append(signal.getsignal(signal.SIGINT))

    inside: list[object] = []
    before = signal.getsignal(signal.SIGINT)
    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    assert inside == [before]
