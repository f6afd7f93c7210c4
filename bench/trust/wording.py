"""Sentences on whether the figures of a run can be trusted. Pure."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType

from bench.records.record import RunRecord
from bench.trust import card_state
from bench.trust.assessment import DISTURBED_LIMIT, Trust, assess
from bench.units import counted

_NAMED = 2  # groups; more are counted
_LIMITS: Mapping[str, Callable[[Trust], bool]] = MappingProxyType(
    {
        "less precise than requested": lambda group: (
            group.asks_for_precision and not group.is_precise
        ),
        "often disturbed by other processes": lambda group: group.disturbed_share > DISTURBED_LIMIT,
    }
)


def warnings(run: RunRecord) -> Iterator[str]:
    """Yield the sentences that must appear above the tables."""
    yield from card_state.warnings(run)
    for trust in assess(run):
        if trust.is_busy:
            yield (
                f"{trust.group}: the machine was {trust.unfit}: {trust.voided}, "
                f"{trust.why_voided}. Do not rely on "
                "the remaining figures; measure again when the machine is "
                f"{'quiet' if trust.voided_by is None else 'quiet and cool'}."
            )
        if trust.allowed_cpus is not None:
            yield f"{trust.group}: {trust.while_loaded}; a quiet machine gives other figures."
        if run.reference(trust.group) is None:
            yield (
                f"{trust.group}: nothing is compared, because the reference, {trust.reference}, "
                "has no figures."
            )
            continue
        if trust.control.sets == 1:
            yield (
                f"{trust.group}: with one set, no interval is known. Processes differ by a few "
                f"percent; here the control ({trust.reference} measured a second time) differs "
                f"from the reference by a factor of {trust.control.estimate:.3f}."
            )
        if trust.why_no_control:
            yield (
                f"{trust.group}: it is unknown whether these figures can be trusted, because the "
                f"control ({trust.reference} measured a second time) has no figures: "
                f"{trust.why_no_control}."
            )
        if trust.control_contains_1 is False:
            yield (
                f"{trust.group}: do not trust these figures: the control ({trust.reference} "
                "measured a second time) differs from the reference by a factor of "
                f"{trust.control.estimate:.3f}, and the 99 % interval does not contain 1."
            )


def verdict(run: RunRecord, names: Mapping[str, str]) -> str:
    """Return whether the figures of a run can be trusted, in one sentence, with what limits that.

    ``names`` has the name of each group in the sentence; it is empty if there is only one group.
    """
    if (warning := next(warnings(run), None)) is not None:
        return warning
    controlled = sum(trust.group in run.measured for trust in assess(run))
    if not controlled:
        return "No control was measured, so it is unknown whether this run can be trusted."
    if controlled < len(run.measured):
        return (
            f"{controlled} of {counted(len(run.measured), 'group')} have a control; it is unknown "
            "whether the others can be trusted."
        )
    agree = "The control agrees" if controlled == 1 else "The controls agree"
    limits = ", and ".join(_limits(assess(run), names))
    return f"{agree}: this run can be trusted{', but ' * bool(limits)}{limits}."


def _limits(groups: Sequence[Trust], names: Mapping[str, str]) -> Iterator[str]:
    """Yield what limits the trust in some groups, as parts of a sentence."""
    limits: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for what, has_limit in _LIMITS.items():
        if some := tuple(group.group for group in groups if has_limit(group)):
            limits[some].append(what)
    for some, reasons in limits.items():
        verb = "is" if len(some) == 1 else "are"
        subject = (
            " and ".join(names[group] or "it" for group in some)
            if len(some) <= _NAMED
            else f"{len(some)} of {counted(len(groups), 'group')}"
        )
        yield f"{subject} {verb} {' and '.join(reasons)}"
