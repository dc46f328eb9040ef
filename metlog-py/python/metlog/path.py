"""Dotted names of objects: ``package.module.name`` or ``package.module:name``."""

import importlib
from typing import Any

from metlog.exceptions import UnresolvedNameError


def resolve_name(name: object) -> Any:
    """Give back the object `name` leads to.

    Raises `UnresolvedNameError`, which is an `ImportError`, when it leads nowhere.
    """
    if not isinstance(name, str) or not name.strip(".: "):
        msg = f"{name!r} is no dotted name, expected package.module.name or package.module:name"
        raise UnresolvedNameError(msg)
    module_name, colon, attributes = name.partition(":")
    if colon:
        return _attributes(name, _module(name, module_name), attributes.split("."))
    parts = name.split(".")
    found = _module(name, parts[0])
    for place, part in enumerate(parts[1:], start=1):
        if not hasattr(found, part):
            found = _submodule(name, ".".join(parts[: place + 1]))
        else:
            found = getattr(found, part)
    return found


def _module(name: str, module_name: str) -> Any:
    try:
        return importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not module_name.startswith(error.name):
            raise
        msg = f"cannot resolve {name!r}: there is no module {error.name!r}"
        raise UnresolvedNameError(msg) from error


def _submodule(name: str, module_name: str) -> Any:
    try:
        return importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not module_name.startswith(error.name):
            raise
        parent, _, missing = module_name.rpartition(".")
        msg = f"cannot resolve {name!r}: {parent} has no {missing!r}"
        raise UnresolvedNameError(msg) from error


def _attributes(name: str, found: Any, attributes: list[str]) -> Any:
    for attribute in attributes:
        if not hasattr(found, attribute):
            msg = f"cannot resolve {name!r}: {found!r} has no {attribute!r}"
            raise UnresolvedNameError(msg)
        found = getattr(found, attribute)
    return found
