"""The pages of the documentation, and what they contain."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


def blocks(page: Path, language: str) -> list[str]:
    """Return the code blocks of a page in a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)


def commands() -> Iterator[tuple[str, list[str]]]:
    """Yield each command of a console block: its page, and its words without a comment."""
    for page in PAGES:
        for block in blocks(page, "console"):
            for line in re.findall(r"^\$ (.*)$", block, re.MULTILINE):
                for command in line.split(" && "):
                    yield page.name, shlex.split(command, comments=True)
