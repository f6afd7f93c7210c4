import html
import re
from pathlib import Path

from bench.report.words import WORDS
from tests.bench import runs
from tests.bench.report.rendered import markdown, page

DOCS = Path(__file__).resolve().parents[3] / "docs" / "words.md"


def test_the_words_are_those_of_the_documentation() -> None:
    rows = dict(re.findall(r"^\| \*\*(\w+)\*\* \| (.+) \|$", DOCS.read_text("utf-8"), re.MULTILINE))
    texts = {word: re.sub(r"\[(.+?)\]\(.+?\)", r"\1", rows[word]) for word in WORDS}
    assert {word: re.sub("[*`]", "", text) for word, text in texts.items()} == WORDS


def test_a_report_explains_its_words_once() -> None:
    run = runs.small()
    for text in (markdown(run), html.unescape(page(run))):
        method = text.index("How to read this")
        for word in ("cell", "set", "round", "visit", "control"):
            assert text.count(WORDS[word]) == 1
            assert text.index(WORDS[word]) > method
