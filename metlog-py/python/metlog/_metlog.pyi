from collections.abc import Mapping, Sequence, Set
from os import PathLike
from types import TracebackType
from typing import Any, Final, final

from typing_extensions import disjoint_base

__all__ = [
    "Client",
    "Dsn",
    "Filter",
    "Report",
    "Stats",
    "Target",
    "__version__",
    "cef_line",
    "cef_meta",
    "close_all",
    "to_json",
]

__version__: Final[str]

def close_all(timeout: float = 2.0) -> None: ...
def to_json(msg: Mapping[str, Any]) -> str: ...
def cef_line(
    name: str,
    severity: int | str,
    environ: Mapping[str, Any] | None,
    config: Mapping[str, Any],
    username: str,
    signature: str | None,
    extras: dict[str, Any],
) -> tuple[str, list[str]]: ...
def cef_meta(
    options: str | None = None,
    facility: str | None = None,
    ident: str | None = None,
    priority: str | None = None,
) -> dict[str, str | None]: ...

@disjoint_base
class Client:
    def __new__(cls, *_args: Any, **_kwargs: Any) -> Client: ...
    logger: str
    severity: int
    def connect(self, target: Target, filters: Sequence[Filter] = ()) -> None: ...
    def connect_by_dict(self, target: Target | None = None) -> None: ...
    def metlog(
        self,
        type: str,  # noqa: A002 - the originals' name
        logger: str | None = None,
        severity: int | None = None,
        payload: Any = "",
        fields: dict[str, Any] | None = None,
    ) -> None: ...
    def incr(
        self,
        name: str,
        count: float = 1,
        logger: str | None = None,
        severity: int | None = None,
        fields: dict[str, Any] | None = None,
        rate: float = 1.0,
    ) -> None: ...
    def gauge(
        self,
        name: str,
        value: float,
        logger: str | None = None,
        severity: int | None = None,
        fields: dict[str, Any] | None = None,
        rate: float = 1.0,
    ) -> None: ...
    def timer_send(
        self,
        name: str,
        elapsed: float,
        logger: str | None = None,
        severity: int | None = None,
        fields: dict[str, Any] | None = None,
        rate: float = 1.0,
    ) -> None: ...
    def debug(self, msg: Any, *args: Any, **kw: Any) -> None: ...
    def info(self, msg: Any, *args: Any, **kw: Any) -> None: ...
    def notice(self, msg: Any, *args: Any, **kw: Any) -> None: ...
    def warn(self, msg: Any, *args: Any, **kw: Any) -> None: ...
    def warning(self, msg: Any, *args: Any, **kw: Any) -> None: ...
    def error(self, msg: Any, *args: Any, **kw: Any) -> None: ...
    def critical(self, msg: Any, *args: Any, **kw: Any) -> None: ...
    def alert(self, msg: Any, *args: Any, **kw: Any) -> None: ...
    def emergency(self, msg: Any, *args: Any, **kw: Any) -> None: ...
    def send_exception(
        self,
        error: BaseException,
        traceback: TracebackType | None = None,
        msg: Any = "",
        dsn: Dsn | None = None,
        logger: str | None = None,
        severity: int | None = None,
        fields: dict[str, Any] | None = None,
    ) -> None: ...
    def hand_over(self, msg: Mapping[str, Any]) -> None: ...
    def count_sent(self) -> None: ...
    def count_refused(self, reason: str) -> None: ...
    def stats(self) -> Stats: ...
    def flush(self, timeout: float = 2.0) -> bool: ...
    def close(self, timeout: float = 2.0) -> Report: ...

@final
class Target:
    @staticmethod
    def push(endpoints: Sequence[str]) -> Target: ...
    @staticmethod
    def acked(endpoints: Sequence[str]) -> Target: ...
    @staticmethod
    def publish(endpoints: Sequence[str]) -> Target: ...
    @staticmethod
    def handshake(
        asked: Sequence[str], endpoints: Sequence[str], timeout: float, livecheck: float
    ) -> Target: ...
    @staticmethod
    def udp(destinations: Sequence[tuple[str, int]]) -> Target: ...
    @staticmethod
    def file(path: str | PathLike[str]) -> Target: ...
    @staticmethod
    def default_endpoints() -> list[str]: ...
    @staticmethod
    def default_link_endpoints() -> list[str]: ...

@final
class Dsn:
    def __new__(cls, text: str) -> Dsn: ...

@final
class Filter:
    @staticmethod
    def severity_max(severity: int) -> Filter: ...
    @staticmethod
    def type_blacklist(types: Set[str]) -> Filter: ...
    @staticmethod
    def type_whitelist(types: Set[str]) -> Filter: ...
    @staticmethod
    def type_severity_max(types: Mapping[str, int]) -> Filter: ...
    def __call__(self, msg: Mapping[str, Any]) -> bool: ...

@final
class Stats:
    @property
    def attempted(self) -> int: ...
    @property
    def accepted(self) -> int: ...
    @property
    def refused(self) -> dict[str, int]: ...
    @property
    def sent(self) -> int: ...
    @property
    def dropped(self) -> dict[str, int]: ...
    @property
    def waiting(self) -> int: ...

@final
class Report:
    @property
    def sent(self) -> int: ...
    @property
    def waiting(self) -> int: ...
    @property
    def dropped(self) -> int: ...
