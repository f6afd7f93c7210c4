import pytest

from bench.names import RequestError
from bench.records.code import Code, check_same_code

BEGUN = Code(commit="1" * 40, digest="a")
CHANGED = Code(commit="1" * 40, digest="b")
OTHER = Code(commit="2" * 40, digest="b")
NEVER_COMMITTED = Code(commit=None, digest="a")
NEVER_COMMITTED_CHANGED = Code(commit=None, digest="b")


@pytest.mark.parametrize(
    ("now", "then", "words"),
    [
        (OTHER, BEGUN, "of commit 222222222222 here .* begun with that of commit 111111111111"),
        (
            CHANGED,
            BEGUN,
            r"the code was changed since the run was begun \(at commit 111111111111\)",
        ),
        (NEVER_COMMITTED_CHANGED, NEVER_COMMITTED, "the code was changed since the run was begun,"),
        (CHANGED, NEVER_COMMITTED, "of commit 111111111111 here .* begun with that of no commit"),
    ],
)
def test_other_code_is_refused_by_name(now: Code, then: Code, words: str) -> None:
    with pytest.raises(RequestError, match=f"^cannot resume: .*{words}.*without --resume$"):
        check_same_code(now, then)


@pytest.mark.parametrize("then", [BEGUN, Code(commit="3" * 40, digest="a"), NEVER_COMMITTED, None])
def test_the_same_code_goes_on_whatever_its_commit(then: Code | None) -> None:
    """What was uncommitted may have been committed; and earlier journals tell no code."""
    check_same_code(BEGUN, then)
