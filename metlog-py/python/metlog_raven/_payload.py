"""The payload of a `sentry` message, read."""

import base64
import json
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

# Several times what a client sends.
MAX_EVENT_BYTES = 8 * 1024 * 1024

TITLES = {
    "cause": "The exception above was caused by:",
    "context": "The exception above was raised while handling:",
    "member": "A member of the group {parent}:",
}


def decode(payload: str | bytes) -> dict[str, Any]:
    """Give back the event in `payload`.

    Raises `ValueError` when it is none.
    """
    unpacked = zlib.decompressobj()
    try:
        text = unpacked.decompress(base64.b64decode(payload), MAX_EVENT_BYTES)
    except zlib.error as error:
        msg = f"payload of a sentry message is no zlib stream: {error}"
        raise ValueError(msg) from error
    if not unpacked.eof:
        msg = f"event of a sentry message is cut short, or over {MAX_EVENT_BYTES} bytes"
        raise ValueError(msg)
    event = json.loads(text)
    if not isinstance(event, dict):
        msg = "event of a sentry message is no JSON object"
        raise ValueError(msg)
    return event


def format_event(
    event: Mapping[str, Any],
    variables: bool = False,
    most_frames: int | None = None,
) -> str:
    """Write an event as Python writes tracebacks.

    With the variables of each frame if asked to, and without the outer frames where there are more than
    `most_frames`.
    """
    layout = _Layout(variables, most_frames)
    first = {**(event.get("sentry.interfaces.Exception") or {})}
    first["stacktrace"] = event.get("sentry.interfaces.Stacktrace") or {}
    first["frames_left_out"] = event["extra"].get("frames_left_out", 0)
    lines = [*layout.exception(first)]
    for cause in event["extra"].get("causes", ()):
        title = TITLES.get(cause.get("relation"), TITLES["cause"])
        lines += ["", title.format(parent=cause.get("parent", 0)), "", *layout.exception(cause)]
    return "\n".join(lines)


@dataclass(frozen=True)
class _Layout:
    variables: bool
    most_frames: int | None

    def exception(self, exception: Mapping[str, Any]) -> Iterator[str]:
        frames = exception["stacktrace"].get("frames") or []
        kept = frames if self.most_frames is None else frames[max(0, len(frames) - self.most_frames) :]
        left_out = exception.get("frames_left_out", 0) + len(frames) - len(kept)
        if frames:
            yield "Traceback (most recent call last):"
        if left_out:
            yield f"  ... {left_out} outer frames"
        for frame in kept:
            yield from self.frame(frame)
        text = exception.get("value")
        yield f"{exception.get('type')}: {text}" if text else str(exception.get("type"))

    def frame(self, frame: Mapping[str, Any]) -> Iterator[str]:
        line = "" if frame["lineno"] is None else f", line {frame['lineno']}"
        yield f'  File "{frame["abs_path"]}"{line}, in {frame["function"] or "<unknown>"}'
        if frame["context_line"]:
            yield f"    {frame['context_line'].strip()}"
        if self.variables:
            yield from (f"      {name} = {json.dumps(value)}" for name, value in frame["vars"].items())
