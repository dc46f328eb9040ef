"""Metlog in web frameworks, application servers and task queues; each module is imported by who uses it.

Nothing here changes what an application does: its exceptions pass as they are, and what goes wrong in an
integration is swallowed, counted (`errors`) and said on standard error, at most every ten seconds.
"""

from __future__ import annotations

from metlog.integrations._guard import errors

__all__ = ["errors"]
