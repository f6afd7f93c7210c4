"""This machine, looked at for real."""

import sys
from pathlib import Path

import pytest
import torch

from bench.doctor import examine
from bench.doctor.finding import State
from bench.machine import environment


def test_a_worker_is_started_and_says_what_it_runs_in() -> None:
    found = examine.worker("cpu")
    assert found.state is State.FINE
    assert f"PyTorch {torch.__version__}" in found.found
    assert "Python {}.{}.{}".format(*sys.version_info[:3]) in found.found


def test_where_no_worker_starts_it_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "torch.py").write_text("raise ImportError('built for another torchvision')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    found = examine.worker("cpu")
    assert found.state is State.PREVENTS
    assert "built for another torchvision" in found.found
    assert "googlenet-bench[measure]" in found.advice


def test_the_compiler_is_torch_compile_s(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler -O3")
    assert examine.compiler() == (None, "no-such-compiler")
    mine = tmp_path / "mine"
    mine.write_text("#!/bin/sh")
    mine.chmod(0o755)
    monkeypatch.setenv("CXX", str(mine))
    assert examine.compiler() == (str(mine), str(mine))


def test_a_cache_that_cannot_be_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert examine.cache().found == str(tmp_path / "googlenet-bench")
    monkeypatch.setattr(environment, "cache_folder", lambda _: tmp_path / "file" / "below")
    (tmp_path / "file").write_text("")
    assert examine.cache().state is State.PREVENTS


def test_every_finding_says_what_to_do_where_it_is_not_fine() -> None:
    found = list(examine.examine("cpu", sleep=lambda _: None))
    whats = [one.what for one in found]
    assert len(set(whats)) == len(whats)
    assert {"worker", "C++ compiler", "cache", "load", "memory"} <= set(whats)
    assert all(one.advice for one in found if one.state is not State.FINE)
