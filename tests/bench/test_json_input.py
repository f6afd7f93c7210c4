import pytest

from bench import json_input
from bench.json_input import JsonError


@pytest.mark.parametrize(
    "text", ["9223372036854775808", "[0.5, -9223372036854775809]", '{"a": {"b": [1, 1%s]}}']
)
def test_an_integer_of_more_than_64_bits_is_refused(text: str) -> None:
    data = text.replace("%s", 400 * "0").encode()
    with pytest.raises(JsonError, match="more than 64 bits"):
        json_input.decode(data)


@pytest.mark.parametrize(
    ("text", "content"),
    [
        ("[9223372036854775807, -9223372036854775808]", [2**63 - 1, -(2**63)]),
        ('["99999999999999999999", 0.12345678901234567890]', ["9" * 20, 0.12345678901234568]),
        ('{"a": true}', {"a": True}),
    ],
)
def test_other_content_is_returned(text: str, content: object) -> None:
    assert json_input.decode(text.encode()) == content


def test_a_float_with_many_digits_is_no_long_number() -> None:
    assert not json_input.has_long_number(b"[0.0012345678901234567, 17]")
    assert json_input.has_long_number(b"[-1234567890123456789]")


@pytest.mark.parametrize("text", ["", "{", "[1] 2", "\ufeff[]"])
def test_text_that_is_not_json_is_refused(text: str) -> None:
    with pytest.raises(JsonError, match=r"^it is not JSON: (?!JSON)"):
        json_input.decode(text.encode())


def test_json_that_is_nested_too_deeply_is_refused() -> None:
    with pytest.raises(JsonError, match="nested too deeply"):
        json_input.decode(b"[" * 200_000)
    content: list[object] = []
    for _ in range(5_000):
        content = [content]
    with pytest.raises(JsonError, match="nested too deeply"):
        json_input.cleaned(content)


def test_all_text_is_made_printable() -> None:
    assert json_input.cleaned({"a\x1b": ["\x07"]}) == {r"a\x1b": [r"\x07"]}
