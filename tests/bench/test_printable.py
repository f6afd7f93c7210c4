import json

import pytest

from bench.printable import cleaned, printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("googlenet × 2 – 3 µs", "googlenet × 2 – 3 µs"),
        ("two\nlines\tand a tab", "two\nlines\tand a tab"),
        ("a\u00a0space", "a\u00a0space"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("\x00\x07\x08\r\x7f\x9b", "\\x00\\x07\\x08\\r\\x7f\\x9b"),
        ("abc\u202ecba", "abc\\u202ecba"),
        ("\u2028\u2066", "\\u2028\\u2066"),
        ("\ud800 \ufffe \uffff", "\\ud800 \\ufffe \\uffff"),
        ("\U000e0001", "\\U000e0001"),
    ],
)
def test_characters_that_cannot_be_shown_become_escapes(text: str, shown: str) -> None:
    assert printable(text) == shown
    assert printable(shown) == shown


def test_all_text_of_a_file_is_cleaned_and_nothing_else_changes() -> None:
    content = json.loads(
        '{"a\\u001b": ["x", 1, null, {"b": "\\u001b"}, ["\\u0000"]], "c": [1.5, 2], "d": true}'
    )
    assert cleaned(content) == {
        "a\\x1b": ["x", 1, None, {"b": "\\x1b"}, ["\\x00"]],
        "c": [1.5, 2],
        "d": True,
    }
