import pytest

from bench.names import RequestError, choose, matches

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


def test_request_error_is_a_value_error() -> None:
    assert issubclass(RequestError, ValueError)


@pytest.mark.parametrize(
    ("pattern", "name", "expected"),
    [
        ("googlenet/*", "googlenet/eager", True),
        ("*/eager", "googlenet/compile", False),
        ("nets.py:f?layers=[2,2]/*", "nets.py:f?layers=[2,2]/eager", True),
        ("nets.py:f?layers=[2,2]/*", "nets.py:f?layers=2/eager", False),
        ("a?", "ab", False),
        ("a*", "a\nb", True),
    ],
)
def test_only_an_asterisk_is_special_in_a_pattern(pattern: str, name: str, expected: bool) -> None:
    assert matches(pattern, name) is expected
