"""The version of the code that a run measures and measures with; it is the same for all sets."""

import msgspec

from bench.errors import RequestError


class Code(msgspec.Struct, frozen=True, kw_only=True):
    """A version of the code, as recorded in a run."""

    commit: str | None
    """The checked-out commit; None outside a git checkout."""
    digest: str
    """Digest of the sources, committed or not; different code has a different digest."""


def check_same_code(now: Code | None, then: Code | None) -> None:
    """Raise ``RequestError`` if the code is not that with which the run began; it names both.

    A run from before the code was recorded is accepted.
    """
    if now is None or then is None or now.digest == then.digest:
        return
    if now.commit == then.commit:
        at = f" (at commit {then.commit[:12]})" if then.commit else ""
        what = f"the code has changed since the run began{at}"
    else:
        what = f"the code is that of {_commit(now)}, but the run began with that of {_commit(then)}"
    raise RequestError(
        f"cannot resume: {what}, and the results of the two cannot be combined; go back to that "
        "code, or start a new run without --resume"
    )


def _commit(code: Code) -> str:
    return f"commit {code.commit[:12]}" if code.commit else "no commit"
