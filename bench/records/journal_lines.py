"""The lines of a journal: JSON objects whose last field is a checksum of all lines so far.

``{"type":"Resumed","crc32":"0a1b2c3d"}`` is such a line. The checksum is the CRC-32 of the line
without that field, continued from the line before it, so a line that was changed, lost, added or
moved does not match. Journals of earlier versions have lines without a checksum.
"""

import re
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

_CHECKSUM = re.compile(rb',"crc32":"([0-9a-f]{8})"\}\Z')


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A line of a journal."""

    content: bytes
    """The event as JSON, without the checksum."""
    has_checksum: bool
    fault: str = ""
    """What is wrong with the checksum; empty if it matches or if there is none to expect."""


def sealed(content: bytes, checksum_before: int) -> tuple[bytes, int]:
    """Return a line for an event's JSON, without a newline, and the checksum after it."""
    checksum = zlib.crc32(content, checksum_before)
    return b'%b,"crc32":"%08x"}' % (content.removesuffix(b"}"), checksum), checksum


def parsed(lines: Iterable[bytes]) -> Iterator[Line]:
    """Yield the lines of a journal, without newlines. After one with a checksum all have one."""
    checksum, is_sealed = 0, False
    for line in lines:
        match = _CHECKSUM.search(line)
        content = line[: match.start()] + b"}" if match else line
        checksum = zlib.crc32(content, checksum)
        is_sealed = is_sealed or bool(match)
        fault = ""
        if match and int(match[1], 16) != checksum:
            fault = "its checksum does not match"
        elif is_sealed and not match:
            fault = "it has no checksum"
        yield Line(content=content, has_checksum=bool(match), fault=fault)


def checksum_after(lines: Iterable[bytes]) -> int:
    """Return the checksum from which the next line continues."""
    checksum = 0
    for line in parsed(lines):
        checksum = zlib.crc32(line.content, checksum)
    return checksum
