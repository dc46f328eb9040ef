"""Middleware for FastAPI.

    app.add_middleware(MetlogMiddleware)

It is Starlette's: FastAPI is built on that.
"""

from metlog.integrations.starlette import MetlogMiddleware

__all__ = ["MetlogMiddleware"]
