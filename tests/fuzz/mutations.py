"""Mutations of JSON content: what damage, mistakes and malice do to a file."""

import copy
from typing import Any

from hypothesis import strategies as st

NUMBERS = st.one_of(
    st.integers(-3, 3),
    st.sampled_from([2**31, -(2**63), 10**400, 1e308, -1e308, 5e-324, 0.5, -0.0]),
    st.floats(allow_nan=False, allow_infinity=False),
)
TEXTS = st.one_of(
    st.text(max_size=12),
    st.sampled_from(["", "\x1b[31m", "../../../x", "\u202e", "a/b", "|", "<script>", "=1+1", "💥"]),
)
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), NUMBERS, TEXTS),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXTS, inner, max_size=3)),
    max_leaves=6,
)


@st.composite
def mutated(draw: st.DrawFn, content: Any, most: int = 3) -> Any:
    """Return a copy of JSON content in which some values are changed, removed or repeated."""
    changed = {"": copy.deepcopy(content)}
    for _ in range(draw(st.integers(1, most))):
        _mutate(draw, changed)
    return changed.get("")


def _mutate(draw: st.DrawFn, root: dict[str, Any]) -> None:
    """Change one value, at a place that is as likely to be deep inside as at the top."""
    holder, key = _place(draw, root)
    if isinstance(holder, dict) and key not in holder:
        return
    match draw(st.sampled_from(["replace", "replace", "remove", "repeat", "swap", "extend"])):
        case "remove":
            del holder[key]
        case "repeat" if isinstance(holder, list):
            holder.insert(key, copy.deepcopy(holder[key]))
        case "swap" if isinstance(holder, list):
            other = draw(st.integers(0, len(holder) - 1))
            holder[key], holder[other] = holder[other], holder[key]
        case "extend" if isinstance(holder[key], dict):
            holder[key][draw(TEXTS)] = draw(VALUES)
        case _:
            holder[key] = draw(VALUES)


def _place(draw: st.DrawFn, root: dict[str, Any]) -> tuple[Any, Any]:
    """Return a container and a key or index in it, by a random walk from the top."""
    holder: Any = root
    key: Any = ""
    while key in holder if isinstance(holder, dict) else True:
        inner = holder[key]
        is_leaf = not isinstance(inner, dict | list) or not inner
        if is_leaf or draw(st.integers(0, 5)) == 0:
            break
        keys = list(inner) if isinstance(inner, dict) else range(len(inner))
        holder, key = inner, draw(st.sampled_from(keys))
    return holder, key
