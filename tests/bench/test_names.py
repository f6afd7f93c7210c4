import pytest

from bench.errors import RequestError
from bench.names import choose, hint, listed, matches, unknown

TABLE = {"googlenet": 1, "torchvision": 2}


@pytest.mark.parametrize("name", TABLE)
def test_a_known_name_returns_its_entry(name: str) -> None:
    assert choose("arch", name, TABLE) == TABLE[name]


def test_the_error_for_an_unknown_name_lists_the_nearest_and_all_names() -> None:
    with pytest.raises(RequestError) as raised:
        choose("arch", "gogglenet", TABLE)
    assert str(raised.value) == (
        "no arch is called 'gogglenet'; did you mean 'googlenet'? known: googlenet, torchvision"
    )


def test_a_name_that_resembles_no_known_name_gets_no_hint() -> None:
    with pytest.raises(RequestError) as raised:
        choose("arch", "zzz", TABLE)
    assert str(raised.value) == "no arch is called 'zzz'; known: googlenet, torchvision"


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("a", ("a",)),
        ("a, b ,c", ("a", "b", "c")),
        ("my:net?layers=[2,2],b", ("my:net?layers=[2,2]", "b")),
        ("my:net?size=(2,3) , b", ("my:net?size=(2,3)", "b")),
    ],
)
def test_names_are_separated_by_commas_outside_brackets(text: str, names: tuple[str, ...]) -> None:
    assert listed(text, "--archs") == names


@pytest.mark.parametrize("text", ["", "a,,b", "a,", " ,a"])
def test_an_empty_name_is_refused(text: str) -> None:
    with pytest.raises(RequestError, match=r"--archs .* has an empty name between its commas"):
        listed(text, "--archs")


@pytest.mark.parametrize(("count", "is_listed"), [(100, True), (101, False)])
def test_at_most_a_hundred_names_are_listed(count: int, is_listed: bool) -> None:
    message = str(unknown("arch", "zzz", [f"{number:03}" for number in range(count)]))
    assert message.endswith("098, 099" if is_listed else "known: 101 names")


@pytest.mark.parametrize(
    ("name", "nearest"), [("net", "googlenet"), ("gle", "googlenet"), ("et", None)]
)
def test_a_name_is_near_if_half_of_the_letters_agree(name: str, nearest: str | None) -> None:
    """The similarity is twice the letters in common over all letters of both."""
    hint_text = hint(name, {"googlenet": "googlenet"})
    assert hint_text == (f"did you mean {nearest!r}?" if nearest else "")


@pytest.mark.parametrize(
    ("pattern", "name", "expected"),
    [
        ("googlenet/*", "googlenet/eager", True),
        ("*/eager", "googlenet/compile", False),
        ("nets.py:f?layers=[2,2]/*", "nets.py:f?layers=[2,2]/eager", True),
        ("nets.py:f?layers=[2,2]/*", "nets.py:f?layers=2/eager", False),
        ("a?", "ab", False),
        ("a*", "a\nb", True),
        ("googlenet", "googlenet-3x3", False),
        ("googlenet", "a-googlenet", False),
        ("*-3x3", "googlenet-3x3-pool2", False),
    ],
)
def test_only_an_asterisk_is_special_in_a_pattern(pattern: str, name: str, expected: bool) -> None:
    assert matches(pattern, name) is expected
