import pytest

from bench.error_text import first_line, one_line


@pytest.mark.parametrize(
    ("message", "expected"),
    [("one\ntwo", "one"), ("\n  one \ntwo", "one "), ("one", "one"), (" \n ", ""), ("", "")],
)
def test_the_first_line_is_the_first_non_empty_one(message: str, expected: str) -> None:
    assert first_line(message) == expected


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (RuntimeError("no such weights\nat x.cpp"), "RuntimeError: no such weights"),
        (KeyError("weights"), "KeyError: 'weights'"),
        (AssertionError(), "AssertionError"),
        (ValueError("\n"), "ValueError"),
    ],
)
def test_an_exception_is_summarised_with_its_type(error: Exception, expected: str) -> None:
    assert one_line(error) == expected
