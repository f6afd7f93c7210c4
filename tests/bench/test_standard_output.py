import ctypes
import os
import subprocess
import sys

import pytest

from bench.standard_output import stdout_to_stderr


def test_all_output_inside_the_block_goes_to_standard_error(
    capfd: pytest.CaptureFixture[str],
) -> None:
    print("before")
    with stdout_to_stderr():
        print("Python")
        os.write(1, b"descriptor\n")
        ctypes.CDLL(None).puts(b"library")
        subprocess.run([sys.executable, "-c", "print('child')"], check=True)
    print("after")
    out, err = capfd.readouterr()
    assert out == "before\nafter\n"
    assert sorted(err.split()) == ["Python", "child", "descriptor", "library"]


def test_an_exception_also_ends_the_redirection(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match="no such layer"), stdout_to_stderr():
        raise ValueError("no such layer")
    print("after")
    assert capfd.readouterr() == ("after\n", "")
