"""Dotted names, absolute and relative."""

import json
import os.path
import re
import sys
import types
from pathlib import Path

import pytest

import metlog.path
from metlog.config import client_from_dict_config
from metlog.exceptions import MetlogError
from metlog.path import (
    CALLER_PACKAGE,
    DottedNameResolver,
    Resolver,
    caller_module,
    caller_package,
    caller_path,
    package_name,
    package_of,
    package_path,
    resolve_name,
)

HERE = sys.modules[__name__]


@pytest.mark.parametrize(
    ("name", "package", "found"),
    [
        ("os.path.join", None, os.path.join),
        ("os.path:join", None, os.path.join),
        ("json", None, json),
        (".path", "metlog", metlog.path),
        (".path:resolve_name", metlog, resolve_name),
        (":path.resolve_name", "metlog", resolve_name),
        ("..path", "metlog.senders", metlog.path),
        (".", "metlog", metlog),
        (":", metlog.path, metlog),
    ],
)
def test_a_name_leads_to_its_object(name, package, found):
    assert resolve_name(name, package) is found
    assert DottedNameResolver(package).resolve(name) is found


@pytest.mark.parametrize(
    ("name", "package"),
    [
        ("nonesuch", None),
        ("json.nonesuch", None),
        ("json:nonesuch", None),
        ("", None),
        (":", None),
        (7, None),
        (".path", None),
        ("...path", "metlog"),
    ],
)
def test_a_name_that_leads_nowhere_is_an_import_error_and_a_value_error(name, package):
    for kind in (ImportError, ValueError, MetlogError):
        with pytest.raises(kind, match=re.escape(repr(name))):
            DottedNameResolver(package).resolve(name)


def test_a_resolver_knows_its_package():
    assert Resolver(metlog.path).get_package() is metlog
    assert Resolver("metlog.senders").get_package_name() == "metlog.senders"
    assert Resolver(None).get_package() is None
    assert Resolver().get_package() is HERE
    assert DottedNameResolver(CALLER_PACKAGE).resolve(":HERE") is HERE
    assert DottedNameResolver(None).maybe_resolve(json) is json
    assert DottedNameResolver(None).maybe_resolve("json") is json


def test_callers_and_packages_are_found():
    assert caller_module(1) is HERE
    assert (lambda: caller_module())() is HERE
    assert caller_package(1) is HERE
    assert (package_name(None), package_name(sys.modules["__main__"])) == ("__main__", "__main__")
    assert (package_name(metlog), package_name(metlog.path)) == ("metlog", "metlog")
    assert package_of(metlog.path) is metlog
    assert package_path(metlog) == str(Path(metlog.__file__).parent)
    assert caller_path("/x") == "/x"
    assert (lambda: caller_path("x"))() == str(Path(__file__).parent / "x")


def test_names_in_a_configuration_are_relative_to_the_callers_package(monkeypatch):
    package = types.ModuleType("kitchen")
    package.__path__ = []
    monkeypatch.setitem(sys.modules, "kitchen", package)
    package.Sender = type("Sender", (), {"send_message": print})
    package.__dict__.update(client_from_dict_config=client_from_dict_config, __package__="kitchen")
    exec("client = client_from_dict_config({'sender': {'class': ':Sender'}})", package.__dict__)
    assert type(package.client.sender) is package.Sender
