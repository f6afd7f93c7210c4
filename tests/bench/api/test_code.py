import sys
from pathlib import Path

import pytest

from bench.api import code
from bench.gate.tree import Tree
from tests.bench.engine.running import cell, plan
from tests.bench.runs import cell as registered

FILES = {
    "flat_nets.py": "import beside",
    "beside.py": "",
    "packed_nets/__init__.py": "",
    "packed_nets/deeper/nets.py": "",
    "packed_nets/README.md": "",
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a user's networks, on the workers' search path."""
    for name, content in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return tmp_path


def digest(*archs: str) -> str:
    return code.current(plan(*map(registered, archs))).digest


@pytest.mark.parametrize(
    ("arch", "changed", "is_other"),
    [
        ("flat_nets:net", "flat_nets.py", True),
        ("flat_nets:net", "beside.py", True),
        ("flat_nets:net", "packed_nets/__init__.py", False),
        ("packed_nets.deeper.nets:net", "packed_nets/deeper/nets.py", True),
        ("packed_nets.deeper.nets:net", "packed_nets/README.md", False),
        ("packed_nets.deeper.nets:net", "beside.py", False),
        ("googlenet", "flat_nets.py", False),
        ("torchvision:resnet18", "flat_nets.py", False),
    ],
)
def test_the_digest_covers_a_factory_s_module_and_the_files_beside_it(
    folder: Path, arch: str, changed: str, is_other: bool
) -> None:
    before = digest("googlenet", arch)
    assert digest("googlenet", arch) == before
    (folder / changed).write_text("SIZE = 1")
    assert (digest("googlenet", arch) != before) is is_other
    assert not {"flat_nets", "packed_nets"} & sys.modules.keys()


@pytest.mark.parametrize("name", [code.OWN, code.NETWORKS])
def test_the_digest_covers_the_project_s_own_packages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(code, "ROOT", tmp_path)
    source = tmp_path / name / "deeper" / "source.py"
    source.parent.mkdir(parents=True)
    source.write_text("1")
    before = code.current(plan(registered("googlenet")))
    assert before.commit is None  # tmp_path is no checkout
    source.write_text("2")
    assert digest("googlenet") != before.digest


@pytest.mark.parametrize("arch", ["no_such_module:net", ".relative:net"])
def test_a_missing_module_is_ignored_because_a_worker_reports_it(arch: str) -> None:
    assert digest(arch) == digest("googlenet")


def test_the_commit_is_recorded() -> None:
    commit = code.current(plan(cell("works"))).commit
    assert commit is None or len(commit) == 40


def test_sides_with_the_same_files_have_the_same_digest_wherever_they_are(tmp_path: Path) -> None:
    requested = plan(registered("packed_nets.deeper.nets:net"), registered("googlenet"))
    trees = []
    for name in ("z", "a"):
        for file, content in {**FILES, "googlenet/own.py": "1"}.items():
            path = tmp_path / name / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        trees.append(Tree(root=tmp_path / name, commit=name * 40))
    before, base = (code.of_side(requested, tree, Path()) for tree in trees)
    assert (before.commit, base.commit) == ("z" * 40, "a" * 40)
    assert before.digest == base.digest
    for changed in ("googlenet/own.py", "packed_nets/__init__.py"):
        (tmp_path / "z" / changed).write_text("2")
        after = code.of_side(requested, trees[0], Path())
        assert after.digest != before.digest
        before = after
    assert code.of_side(requested, trees[1], Path()) == base
