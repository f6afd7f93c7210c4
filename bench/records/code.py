"""The code that a run measures, and measures with: its sets must all be of the same."""

import msgspec

from bench.names import RequestError


class Code(msgspec.Struct, frozen=True, kw_only=True):
    """Code, as far as a run tells it apart from other code."""

    commit: str | None
    """The commit that stands here; None outside of a git checkout."""
    digest: str
    """Of the sources themselves, committed or not: another one is other code."""


def check_same_code(now: Code | None, then: Code | None) -> None:
    """Refuse to go on with other code than was begun with; ``RequestError`` names both.

    A run that was begun before the code was told is taken at its word.
    """
    if now is None or then is None or now.digest == then.digest:
        return
    if now.commit == then.commit:
        at = f" (at commit {then.commit[:12]})" if then.commit else ""
        what = f"the code was changed since the run was begun{at}"
    else:
        what = (
            f"the code is of {_commit(now)} here where the run was begun with that of "
            f"{_commit(then)}"
        )
    raise RequestError(
        f"cannot resume: {what}, and no interval holds for both; go back to that code, or begin "
        "anew without --resume"
    )


def _commit(code: Code) -> str:
    return f"commit {code.commit[:12]}" if code.commit else "no commit"
