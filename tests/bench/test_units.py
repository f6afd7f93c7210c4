import pytest

from bench import units


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 cells"), (1, "1 cell"), (2, "2 cells"), (1000, "1,000 cells")]
)
def test_a_noun_is_singular_only_with_one(count: int, text: str) -> None:
    assert units.counted(count, "cell") == text


@pytest.mark.parametrize(
    ("number", "text"),
    [
        ("-380,928", "−380,928"),
        ("-0.05", "−0.05"),
        ("-25.0%", "−25.0%"),
        ("+0.4", "+0.4"),
        ("-0.0", "0.0"),
        ("+0%", "0%"),
        ("1.5e-06", "1.5e-06"),
        ("–", "–"),
        ("googlenet-3x3", "googlenet-3x3"),
    ],
)
def test_negative_numbers_have_a_minus_sign_and_zero_has_none(number: str, text: str) -> None:
    assert units.with_minus(number) == text


@pytest.mark.parametrize(
    ("low", "high", "text"),
    [
        ("0.5", "3.8", "0.5–3.8"),
        ("-0.8", "-0.3", "−0.8 to −0.3"),
        ("-0.4", "+0.2", "−0.4 to +0.2"),
        ("-0.0", "1.2", "0.0–1.2"),
        ("+0.2", "+0.4", "+0.2 to +0.4"),
        ("+0.0", "+0.4", "0.0 to +0.4"),
    ],
)
def test_ends_with_a_sign_are_not_joined_by_a_dash(low: str, high: str, text: str) -> None:
    assert units.between(low, high) == text


@pytest.mark.parametrize(
    ("size_bytes", "mib", "gib"),
    [
        (1_048_576, "1 MiB", "0.0 GiB"),
        (1_073_741_824, "1,024 MiB", "1.0 GiB"),
        (1_342_177_280, "1,280 MiB", "1.2 GiB"),
        (2_000_000_000_000, "1,907,349 MiB", "1,862.6 GiB"),
    ],
)
def test_sizes_are_in_powers_of_two(size_bytes: int, mib: str, gib: str) -> None:
    assert units.in_mib(size_bytes) == mib
    assert units.in_gib(size_bytes) == gib
