"""Dotted names of objects, and the packages of those who call: as in `pyramid.path`.

A name is ``package.module.name`` or ``package.module:name``; one that starts with ``.`` or ``:`` is relative
to a package.
"""

from __future__ import annotations

import importlib
import os
import sys
from types import ModuleType

from metlog.exceptions import UnresolvedNameError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

__all__ = [
    "CALLER_PACKAGE",
    "DottedNameResolver",
    "Resolver",
    "caller_module",
    "caller_package",
    "caller_path",
    "package_name",
    "package_of",
    "package_path",
    "resolve_name",
]


class _CallerPackage:
    """Stands for the package of whoever calls."""

    def __repr__(self) -> str:
        return "CALLER_PACKAGE"


CALLER_PACKAGE = _CallerPackage()

MAIN = "__main__"


def caller_module(level: int = 2, sys: ModuleType = sys) -> ModuleType:
    """Give back the module whose code runs `level` frames up; 1 is that of the caller itself."""
    name = sys._getframe(level).f_globals.get("__name__", MAIN)
    module: ModuleType = sys.modules.get(name, sys.modules[MAIN])
    return module


def caller_package(level: int = 2, caller_module: Callable[..., ModuleType] = caller_module) -> ModuleType:
    """Give back the package of the module whose code runs `level` frames up."""
    return package_of(caller_module(level + 1))


def caller_path(path: str, level: int = 2) -> str:
    """Give back `path` as seen from the folder of the module whose code runs `level` frames up."""
    return path if os.path.isabs(path) else os.path.join(package_path(caller_module(level + 1)), path)  # noqa: PTH117, PTH118 - texts in, text out


def package_name(pkg_or_module: ModuleType | None) -> str:
    """Give back the name of a package, or of the one a module lies in; a lone module is its own."""
    if pkg_or_module is None or pkg_or_module.__name__ == MAIN:
        return MAIN
    name = pkg_or_module.__name__
    return name if hasattr(pkg_or_module, "__path__") else name.rpartition(".")[0] or name


def package_of(pkg_or_module: ModuleType) -> ModuleType:
    """Give back the package a module lies in; a package is its own."""
    return sys.modules[package_name(pkg_or_module)]


def package_path(package: ModuleType) -> str:
    """Give back the folder of a package."""
    return os.path.dirname(os.path.abspath(package.__file__ or ""))  # noqa: PTH100, PTH120 - as above


class Resolver:
    """Knows a package: the one given, by name or as a module, or that of whoever makes the resolver."""

    def __init__(self, package: str | ModuleType | _CallerPackage | None = CALLER_PACKAGE) -> None:
        found: ModuleType | None
        if isinstance(package, _CallerPackage):
            found = caller_package()
        elif isinstance(package, str):
            found = _module(package, package)
        else:
            found = package
        self.package = None if found is None else package_of(found)

    def get_package_name(self) -> str:
        """Give back its name."""
        return package_name(self.package)

    def get_package(self) -> ModuleType | None:
        """Give it back."""
        return self.package


class DottedNameResolver(Resolver):
    """Resolves dotted names, relative ones from its package."""

    def resolve(self, dotted: str) -> Any:
        """Give back the object `dotted` leads to; raises as `resolve_name` does."""
        return resolve_name(dotted, self.package)

    def maybe_resolve(self, dotted: object) -> Any:
        """Give back the object a text leads to, and anything else as it is."""
        return self.resolve(dotted) if isinstance(dotted, str) else dotted


def resolve_name(name: object, package: str | ModuleType | None = None) -> Any:
    """Give back the object `name` leads to, from `package` if it is relative.

    Raises `UnresolvedNameError`, which is an `ImportError` and a `ValueError`, when it leads nowhere.
    """
    if not isinstance(name, str) or not (name.strip() if package else name.strip(".: ")):
        msg = f"{name!r} is no dotted name, expected package.module.name or package.module:name"
        raise UnresolvedNameError(msg)
    if name.startswith((".", ":")):
        name = _absolute(name, package)
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


def _absolute(name: str, package: str | ModuleType | None) -> str:
    base = package_name(package) if isinstance(package, ModuleType) else package
    if base is None:
        msg = f"cannot resolve {name!r}: it is relative, and there is no package to start from"
        raise UnresolvedNameError(msg)
    rest = name.lstrip(".")
    # Each dot beyond the first leads one package up.
    for _ in range(len(name) - len(rest) - 1):
        base, _, left = base.rpartition(".")
        if not base:
            msg = f"cannot resolve {name!r}: it leads above {left!r}"
            raise UnresolvedNameError(msg)
    if rest in ("", ":"):
        return base
    return base + rest if rest.startswith(":") else f"{base}.{rest}"


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
