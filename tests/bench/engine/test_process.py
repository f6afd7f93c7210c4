import signal

import pytest

from bench.engine.process import ending

REAL_TIME = signal.SIGRTMIN + 6  # Python names the first and the last of them alone


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
