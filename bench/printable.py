"""Text from outside, made safe to show: characters that cannot be shown become escapes.

Control characters can change a terminal, and some end the process inside the chart library, because
XML does not allow them. What comes from outside is cleaned where it enters: files when they are
read, and the messages of workers when they arrive.
"""

import unicodedata
from typing import Any

_LAYOUT = "\n\t"


def printable(text: str) -> str:
    r"""Return text in which characters that cannot be shown are escapes, such as ``\x1b``.

    Newlines, tabs and every kind of space stay.
    """
    if text.isprintable():
        return text
    return "".join(map(_shown, text))


def cleaned(content: Any) -> Any:
    """Return the content of a JSON file in which all text is printable, keys included."""
    if isinstance(content, str):
        return printable(content)
    if isinstance(content, dict):
        return {printable(key): cleaned(value) for key, value in content.items()}
    if isinstance(content, list) and any(isinstance(each, str | dict | list) for each in content):
        return [cleaned(each) for each in content]
    return content


def _shown(character: str) -> str:
    is_shown = character.isprintable() or character in _LAYOUT
    if is_shown or unicodedata.category(character) == "Zs":
        return character
    return character.encode("unicode_escape").decode("ascii")
