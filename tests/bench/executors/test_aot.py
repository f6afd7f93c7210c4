import os
import tempfile
from pathlib import Path

import pytest
import torch

from bench.errors import RequestError
from tests.bench import tiny
from tests.bench.executors.test_compile import answers_like_eager, may_warn, one_cell, program
from tests.bench.executors.test_exported import Branching

__all__ = ["one_cell"]  # a fixture that every test here uses


@may_warn
def test_a_package_answers_like_eager_and_leaves_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from torch._inductor.runtime.cache_dir_utils import cache_dir

    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", cache_dir())  # not in tmp_path
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    model = tiny.net().eval()
    packaged = program("aot", model)
    # Inductor keeps its cache there if nothing in this process has used it before.
    assert [each.name for each in tmp_path.iterdir() if "torchinductor" not in each.name] == []
    assert os.environ["TMPDIR"] == str(tmp_path)
    assert answers_like_eager(packaged, model)
    settings = packaged.settings()
    assert settings["freezing"] == "off"
    assert settings["threads"] == str(torch.get_num_threads())
    assert packaged.was_cached() is None


def test_a_failed_compilation_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("no compiler\nsecond line")

    monkeypatch.setattr("torch._inductor.aoti_compile_and_package", fail)
    with pytest.raises(RequestError) as raised:
        program("aot", tiny.net().eval())
    assert str(raised.value) == (
        "aot cannot run this network, because AOTInductor fails with RuntimeError: no compiler; "
        "choose compile or eager"
    )


def test_a_failed_export_is_a_sentence() -> None:
    with pytest.raises(RequestError, match=r"aot needs torch\.export, which cannot"):
        program("aot", Branching())
