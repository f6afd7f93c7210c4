"""The Python of README and docs is executed, and the names of the API page exist.

What would measure returns a finished run; everything else is real.
"""

import pkgutil
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torchvision import models

from bench.records.record import RunRecord
from tests.bench import runs
from tests.bench.gate import gates
from tests.docs.pages import PAGES, ROOT, blocks

CODE = [
    pytest.param(block, id=f"{page.name}-{number}")
    for page in PAGES
    for number, block in enumerate(blocks(page, "python"))
]


@pytest.fixture(scope="module")
def finished() -> RunRecord:
    return runs.small()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, finished: RunRecord) -> Path:
    """The current folder: torchvision's weights are in it, and runs are finished at once."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("bench.api.measuring.measure", lambda *_, **__: finished)
    gate = gates.gate({runs.EAGER: gates.SAME})
    monkeypatch.setattr("bench.api.gate.measure_gate", lambda *_, **__: gate)
    return tmp_path


def given(block: str, folder: Path) -> Mapping[str, Any]:
    """Return what a block uses and does not define; its own definitions replace them."""
    if "googlenet-1378be20.pth" in block:
        weights = models.googlenet(init_weights=False, aux_logits=True).state_dict()
        torch.save(weights, folder / "googlenet-1378be20.pth")
    return {
        "images": torch.randn(2, 3, 224, 224),
        "target": torch.tensor([0, 1]),
        "torch": torch,
        "Reader": nn.Identity,
    }


@pytest.mark.parametrize("block", CODE)
def test_python_of_a_page_is_executed(block: str, folder: Path) -> None:
    names = dict(given(block, folder))
    exec(compile(block, "page", "exec"), names)  # noqa: S102 - the project's own pages
    for factory in re.findall(r"^def (\w+)\(\):", block, re.MULTILINE):
        assert isinstance(names[factory](), nn.Module)


def test_the_names_of_the_api_page_exist() -> None:
    names = re.findall(r"^::: (\S+)$", (ROOT / "docs" / "api.md").read_text(), re.MULTILINE)
    assert names
    for name in names:
        assert pkgutil.resolve_name(name).__doc__
