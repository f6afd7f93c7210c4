"""Misspelt names of one's own networks are refused before a worker starts."""

from pathlib import Path

import pytest

from bench import archs
from bench.archs import module_names
from bench.errors import RequestError

NETS = "from torch import nn\nimport os.path as path\ndef small(): ...\nlarge = wide = small\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder: a project with a package in ``src`` and a module that cannot be run."""
    package = tmp_path / "src" / "own_nets"
    package.mkdir(parents=True)
    for name in ("__init__", "deep"):
        (package / f"{name}.py").write_text(f"raise SystemExit\n{NETS}")
    (tmp_path / "flat_net.py").write_text(f"raise SystemExit\n{NETS}")
    (tmp_path / "below").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    "name",
    [
        *("flat_net:small", "flat_net:wide", "flat_net:nn", "flat_net:path", "flat_net.py:small"),
        *("own_nets:small", "own_nets.deep:small", "src/own_nets/deep.py:small?width=2@1x8x8"),
        *("torchvision:resnet18?num_classes=10", "torchvision:resnet18@96", "googlenet"),
        *("timm:resnet18", "timm:resnet18.a1_in1k"),
    ],
)
@pytest.mark.parametrize("current", [".", "below"])
def test_a_network_that_may_exist_is_not_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch, name: str, current: str
) -> None:
    """A gate in a folder of a project finds networks at the top too."""
    monkeypatch.chdir(folder / current)
    archs.find(name).check()


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("flat_net:smal", r"flat_net.py defines no such name; did you mean 'flat_net:small'\?$"),
        ("flat_net.py:smal", r"did you mean 'flat_net.py:small'\?$"),
        ("own_nets.deep:smal", r"did you mean 'own_nets.deep:small'\?$"),
        ("flat_net:zzz", r"^cannot import 'zzz' from 'flat_net': /.* defines no such name$"),
        ("flat_ne:small", r"^cannot import 'small' from 'flat_ne': there is no such module$"),
        ("flat_ne.py:small", r"^cannot import 'small' from 'flat_ne.py': there is no such file$"),
        ("torchvision:resnet81@96", r"did you mean 'resnet\d+'\?"),
        ("timm:resnet81", r"did you mean 'resnet\d+'\?"),
    ],
)
@pytest.mark.usefixtures("folder")
def test_a_misspelt_name_is_refused_with_the_nearest(name: str, sentence: str) -> None:
    with pytest.raises(RequestError, match=sentence):
        archs.find(name).check()


@pytest.mark.parametrize(
    "text",
    [
        *("from torch.nn import *", "def __getattr__(name): ...", "globals()['small'] = 1"),
        *("exec('small = 1')", "def small(:", "x = '\\0'\0"),
    ],
)
def test_a_file_that_may_define_any_name_is_not_judged(folder: Path, text: str) -> None:
    (folder / "flat_net.py").write_text(text)
    assert module_names.defined(folder / "flat_net.py") is None
    archs.find("flat_net:small").check()
