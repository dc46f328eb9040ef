"""Names of metrics: few, whatever clients ask for."""

from __future__ import annotations

import functools
import re

# Any other method is `OTHER`: clients may invent as many as they like.
METHODS = frozenset(
    ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PROPFIND", "REPORT")
)
OTHER = "OTHER"

# Of `<int:key>`, `{key:\d+}`, `{key}`, `(?P<key>...)` and `*key` the key. Braces and parentheses inside a
# pattern go to one level: what is left over becomes underscores.
PARAMETER = re.compile(
    r"<(?:[^<>:]*:)?(?P<angle>\w+)>"
    r"|\{(?P<brace>\w+)(?::(?:[^{}]|\{[^{}]*\})*)?\}"
    r"|\(\?P<(?P<named>\w+)>(?:[^()]|\([^()]*\))*\)"
    r"|\*(?P<star>\w+)"
)
NO_WORD = re.compile(r"[^A-Za-z0-9_-]+")

# What a name may be long; the roll-up refuses names over 1,024 bytes.
LONGEST = 200


def method_name(method: str) -> str:
    """Give back a method as it stands in names and fields."""
    return method if method in METHODS else OTHER


def status_class(status: int) -> str:
    """Give back `2xx` for 204; what is no status of HTTP is `other`."""
    return f"{status // 100}xx" if 100 <= status <= 599 else "other"


def status_name(status: int) -> str:
    """Give back `204` for 204, `1001` for that close code of websockets, `4xxx` for 4001.

    Of the close codes from 3000 on a client may choose any.
    """
    if 100 <= status <= 599 or 1000 <= status <= 1015:
        return str(status)
    return f"{status // 1000}xxx" if 3000 <= status <= 4999 else "other"


# As many routes as an application could have; more would cost time and no memory.
@functools.lru_cache(maxsize=4096)
def route_name(route: str) -> str:
    """Make the words of a metric's name of a route's template: `/items/{id}/tags` is `items.id.tags`."""
    plain = PARAMETER.sub(lambda found: found[found.lastgroup or 0], route)
    words = (NO_WORD.sub("_", word).strip("_") for word in plain.strip("^$").split("/"))
    return ".".join(word for word in words if word)[:LONGEST] or "root"
