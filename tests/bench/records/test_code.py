import pytest

from bench.errors import RequestError
from bench.records.code import Code, check_same_code

BEGUN = Code(commit="1" * 40, digest="a")
CHANGED = Code(commit="1" * 40, digest="b")
OTHER = Code(commit="2" * 40, digest="b")
NEVER_COMMITTED = Code(commit=None, digest="a")
NEVER_COMMITTED_CHANGED = Code(commit=None, digest="b")


@pytest.mark.parametrize(
    ("now", "then", "words"),
    [
        (OTHER, BEGUN, "of commit 222222222222, .* began with that of commit 111111111111"),
        (
            CHANGED,
            BEGUN,
            r"the code has changed since the run began \(at commit 111111111111\)",
        ),
        (NEVER_COMMITTED_CHANGED, NEVER_COMMITTED, "the code has changed since the run began,"),
        (CHANGED, NEVER_COMMITTED, "of commit 111111111111, .* began with that of no commit"),
    ],
)
def test_different_code_is_refused_with_its_commits(now: Code, then: Code, words: str) -> None:
    with pytest.raises(RequestError, match=f"^cannot resume: .*{words}.*without --resume$"):
        check_same_code(now, then)


@pytest.mark.parametrize("then", [BEGUN, Code(commit="3" * 40, digest="a"), NEVER_COMMITTED, None])
def test_same_code_is_accepted_for_any_commit(then: Code | None) -> None:
    """Code may be committed after a run began, and earlier journals do not record it."""
    check_same_code(BEGUN, then)
