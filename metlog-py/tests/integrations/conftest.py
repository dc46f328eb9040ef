"""The daemons, started once, and a service of each test's own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from .harness import BUILT, Service, System, wait_until


@pytest.fixture(scope="session")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """Whatever the tests did: at the end no message may be missing."""
    if not (BUILT / "metlog-sidecar").exists():
        pytest.fail(f"{BUILT} holds no daemons; `make test` builds them")
    system = System(tmp_path_factory.mktemp("system"))
    try:
        yield system
        wait_until(lambda: system.audit()[0] in (0, 3), 10, lambda: system.audit()[1])
    finally:
        system.end()


@pytest.fixture
def service(system: System, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Service]:
    service = Service(system, tmp_path, request.node.name)
    try:
        yield service
    finally:
        service.kill()
