"""The table of faults: the tests that it names exist, and so do the sentences that it quotes."""

import ast
import re
from functools import cache
from itertools import chain
from pathlib import Path

import pytest

from tests.docs.pages import ROOT

ROWS = re.findall(r"^\| (?!fault)(.+) \|$", (ROOT / "docs" / "faults.md").read_text(), re.MULTILINE)
VARIES = "…"
LIBRARIES = {"database is locked"}  # a sentence of SQLite


@cache
def _sentences() -> str:
    """Return all texts in the code of this program, with "…" for what is filled in."""
    trees = (ast.parse(path.read_text()) for path in sorted((ROOT / "bench").rglob("*.py")))
    return "\n".join(map(_text, chain.from_iterable(map(ast.walk, trees))))


def _text(node: ast.AST) -> str:
    """Return the text of a literal; empty for other nodes."""
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.Constant(value=bytes(content)):
            return content.decode("utf-8", errors="replace")
        case ast.JoinedStr(values=values):
            return re.sub(f"{VARIES}+", VARIES, "".join(_text(each) or VARIES for each in values))
    return ""


@cache
def _tests(path: Path) -> frozenset[str]:
    """Return the names of the tests in a file."""
    nodes = ast.parse(path.read_text()).body
    return frozenset(node.name for node in nodes if isinstance(node, ast.FunctionDef))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.partition(" | ")[0])
def test_each_fault_has_tests_and_the_sentences_of_the_code(row: str) -> None:
    cells = [each.replace(r"\|", "|") for each in re.split(r" (?<!\\)\| ", row)]
    _, seen, _, tests = cells
    named = re.findall(r"`([\w/]+\.py)::(\w+)`", tests)
    assert len(named) == len(tests.split(", "))
    for file, name in named:
        assert name in _tests(ROOT / file), f"{file} has no test {name}"
    for sentence in re.findall('"([^"]+)"', seen):
        if sentence not in LIBRARIES:
            is_said = sentence.strip(f"{VARIES} ") in _sentences()
            assert is_said, f"no code says {sentence!r}"
