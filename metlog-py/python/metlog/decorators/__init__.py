"""Decorators that send what functions do; `base` is what to build your own on.

>>> from metlog.config import client_from_dict_config
>>> from metlog.holder import CLIENT_HOLDER
>>> client = client_from_dict_config({"sender": {"class": "metlog.senders.DebugCaptureSender"}})
>>> CLIENT_HOLDER.set_client("shop", client)
>>> @timeit("shop.order")
... @incr_count
... def order(dish):
...     return f"one {dish}"
>>> order("soup")
'one soup'
>>> len(client.sender.msgs)
2
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from metlog.decorators._types import Decorates

    timeit: Decorates
    incr_count: Decorates
else:
    from metlog.decorators.stats import incr_count, timeit

__all__ = ["incr_count", "timeit"]
