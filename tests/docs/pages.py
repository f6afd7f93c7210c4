"""The pages of the documentation, and what they contain."""

import re
import shlex
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
_PROGRAMS = "googlenet-bench|python3?|nox|pip|pytest|pre-commit|bash|check-jsonschema"
_IN_PROSE = re.compile(rf"`((?:{_PROGRAMS})\s[^`]+)`")
_SHELL = frozenset({"|", ">"})


def blocks(page: Path, language: str) -> list[str]:
    """Return the code blocks of a page in a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)


def commands() -> list[tuple[str, ...]]:
    """Return the words of each command in a console block or in prose, once.

    Without comments, and without the shell's pipes and redirections.
    """
    typed = (shlex.split(line, comments=True) for page in PAGES for line in _lines(page))
    bare = (tuple(takewhile(lambda word: word not in _SHELL, words)) for words in typed)
    return list(dict.fromkeys(bare))


def _lines(page: Path) -> Iterator[str]:
    for block in blocks(page, "console"):
        for line in re.findall(r"^\$ (.*)$", block, re.MULTILINE):
            yield from line.split(" && ")
    prose = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    for typed in _IN_PROSE.findall(prose):
        yield " ".join(typed.split())
