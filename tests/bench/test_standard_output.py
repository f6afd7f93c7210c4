import ctypes
import os
import subprocess
import sys

import pytest

from bench.standard_output import kept_clean


def test_whatever_is_printed_inside_goes_to_standard_error(
    capfd: pytest.CaptureFixture[str],
) -> None:
    print("before")
    with kept_clean():
        print("Python")
        os.write(1, b"descriptor\n")
        ctypes.CDLL(None).puts(b"library")
        subprocess.run([sys.executable, "-c", "print('child')"], check=True)
    print("after")
    out, err = capfd.readouterr()
    assert out == "before\nafter\n"
    assert sorted(err.split()) == ["Python", "child", "descriptor", "library"]


def test_it_ends_with_an_exception_too(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match="no such layer"), kept_clean():
        raise ValueError("no such layer")
    print("after")
    assert capfd.readouterr() == ("after\n", "")
