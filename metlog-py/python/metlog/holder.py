"""The clients of an application, by name, so that its modules need not pass them around."""

from __future__ import annotations

from metlog._metlog import rebind_handles
from metlog.client import MetlogClient
from metlog.exceptions import ConfigError
from metlog.senders.base import NoSendSender

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

__all__ = ["CLIENT_HOLDER", "MetlogClientHolder", "get_client"]


class MetlogClientHolder:
    """Clients by name. The first one is the default until another is named.

    `global_config` is what configurations have under `global`; its key `default` is the default client's
    name.
    """

    def __init__(self) -> None:
        self._clients: dict[str, MetlogClient] = {}
        # Outlives a `global_config` that is cleared.
        self._default_clientname: str | None = None
        self.global_config: dict[str, Any] = {}
        rebind_handles()

    def get_client(self, name: str) -> MetlogClient:
        """Give back the client `name`; one without a sender is made when there is none."""
        client = self._clients.get(name)
        if client is None:
            client = MetlogClient(NoSendSender(), name)
            self.set_client(name, client)
        return client

    def set_client(self, name: str, client: MetlogClient) -> None:
        """Keep `client` as `name`."""
        self._clients[name] = client
        rebind_handles()
        if self._default_name() is None:
            self.set_default_client_name(name)

    def delete_client(self, name: str) -> None:
        """Forget the client `name`, if there is one."""
        self._clients.pop(name, None)
        rebind_handles()
        if name == self._default_name():
            self._default_clientname = None
            self.global_config.pop("default", None)

    def set_default_client_name(self, name: str) -> None:
        """Make the client `name` the default."""
        self._default_clientname = self.global_config["default"] = name
        rebind_handles()

    @property
    def default_client(self) -> MetlogClient | None:
        """The default client, if there is one."""
        name = self._default_name()
        return None if name is None else self._clients.get(name)

    def _default_name(self) -> str | None:
        name: str | None = self.global_config.get("default", self._default_clientname)
        return name


CLIENT_HOLDER = MetlogClientHolder()


def get_client(name: str, config_dict: Mapping[str, Any] | None = None) -> MetlogClient:
    """Give back the client `name` of `CLIENT_HOLDER`, configured by `config_dict` when that is given.

    The configuration is given the name as its logger. Raises `ConfigError`, which is a `ValueError`, when
    it names another.
    """
    # The configuration needs the holder.
    from metlog.config import client_from_dict_config

    client = CLIENT_HOLDER.get_client(name)
    if config_dict is None:
        return client
    logger = config_dict.get("logger", name)
    if logger != name:
        msg = f"logger is {logger!r}, expected {name!r}, the name of the client"
        raise ConfigError(msg)
    if isinstance(config_dict, dict):
        # Readers of the caller's dict find it there, as with the original.
        config_dict["logger"] = name
    return client_from_dict_config({**config_dict, "logger": name}, client)
