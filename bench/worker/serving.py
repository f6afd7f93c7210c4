"""Service of requests: one line of JSON each, and one reply to each."""

import sys
from collections.abc import Callable, Mapping
from functools import reduce
from operator import or_
from typing import Any, TextIO

import msgspec

from bench.errors import RequestError
from bench.worker import failure, tracebacks
from bench.worker.protocol import Request

Operations = Mapping[type[Request[Any]], Callable[[Any], object]]
"""Functions that take a request and return its reply, by the type of the request."""


def serve(operations: Operations, requests: TextIO, replies: TextIO) -> None:
    """Reply to requests until the input ends."""
    decoder = msgspec.json.Decoder(reduce(or_, operations))
    for line in requests:
        try:
            request = _decoded(decoder, line)
            reply = _encoded({"ok": operations[type(request)](request)})
        # Any error of a network is a result of its cell: it is classified and reported.
        except Exception as error:  # noqa: BLE001
            kind = failure.kind_of(error)
            # UTF-8 has no lone surrogates, which a message may contain.
            message = failure.sentence(error).encode(errors="backslashreplace").decode()
            reply = _encoded({"error": {"kind": kind, "message": message}})
            sys.stderr.write(tracebacks.user_frames(error))
            sys.stderr.flush()
        replies.write(reply + "\n")
        replies.flush()


def _decoded(decoder: msgspec.json.Decoder[Any], line: str) -> Request[Any]:
    try:
        request: Request[Any] = decoder.decode(line)
    except msgspec.MsgspecError as error:
        raise RequestError(f"this worker cannot read the request: {error}") from error
    return request


def _encoded(reply: Mapping[str, Any]) -> str:
    return msgspec.json.encode(reply, enc_hook=_plain).decode()


def _plain(value: object) -> object:
    """Return plain data for an instance of a subclass, such as the string of torch's version."""
    if isinstance(value, str):
        return str(value)
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"a reply cannot contain a {type(value).__name__}")
