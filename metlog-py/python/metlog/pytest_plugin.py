"""The fixture ``metlog_messages`` for pytest, which finds this module by its entry point."""

from collections.abc import Iterator
from typing import Any

import pytest


@pytest.fixture
def metlog_messages() -> Iterator[list[dict[str, Any]]]:
    """Give a list that gets what every client sends while the test runs, as dicts; nothing leaves."""
    # Not before a test asks for it: pytest imports this module in every session.
    from metlog.testing import capture_logs

    with capture_logs() as messages:
        yield messages
