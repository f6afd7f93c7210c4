import pytest

from bench import units


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 cells"), (1, "1 cell"), (2, "2 cells"), (1000, "1,000 cells")]
)
def test_a_noun_is_singular_only_with_one(count: int, text: str) -> None:
    assert units.counted(count, "cell") == text
