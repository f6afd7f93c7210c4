"""Blocks on the terminal: all that consist of text, and tables."""

import pandas as pd

from bench.columns import Column
from bench.report.blocks import (
    Checks,
    Folded,
    Heading,
    Notice,
    Paragraph,
    Prose,
    Sentences,
    Table,
    Terms,
    Verbatim,
)
from bench.report.checks import Check, CheckState
from bench.report.formats.terminal import captured


def test_every_block_of_text_is_printed() -> None:
    table = Table(
        title="Names",
        columns=(Column(name="name", heading="name"),),
        rows=pd.DataFrame([{"name": "n"}]),
    )
    blocks = (
        Heading(text="A heading"),
        Prose(text="two\nlines\n\nand another paragraph\n"),
        Paragraph(text="one [paragraph]"),
        Sentences(sentences=["first", "second"]),
        Terms(terms=[("word", "what it means")]),
        Checks(checks=[Check(count=1, total=3, text="checks passed", state=CheckState.BAD)]),
        Notice(label="Note", text="mind this"),
        Verbatim(label="stderr", text="[red]line[/red]"),
        Folded(summary="not shown", blocks=(Paragraph(text="inside"), table)),
    )
    lines = [line.rstrip() for line in captured(blocks).splitlines()]
    assert lines[:11] == [
        "",
        "A heading",
        "two lines",
        "and another paragraph",
        "one [paragraph]",
        "• first",
        "• second",
        "word: what it means",
        "1 of 3 checks passed",
        "Note: mind this",
        "stderr: [red]line[/red]",
    ]
    assert lines[11] == "inside"
    assert lines[12].strip() == "Names"
