"""Security events in ArcSight's Common Event Format, as `cef` messages for a syslog.

>>> from metlog.config import client_from_dict_config
>>> client = client_from_dict_config({
...     "sender": {"class": "metlog.senders.DebugCaptureSender"},
...     "plugins": {"cef": ("metlog_cef.cef_plugin:config_plugin", {"syslog_facility": "LOCAL4"})},
... })
>>> device = {"cef.version": 0, "cef.vendor": "mozilla", "cef.product": "weave", "cef.device_version": 3}
>>> login = Request(method="POST", path="/login", source="192.0.2.1")
>>> line = client.cef("Login failed", 4, login, device, username="jane", signature=AUTH_FAILURE)
>>> line.partition("|cs1Label=")[0].partition("CEF:")[2]
'0|mozilla|weave|3|AuthFail|Login failed|4'

Nothing that a client of the application sends can forge a key or a line. The format is made by the core; the
package `cef` is not needed.
"""

from metlog_cef.cef_plugin import InvalidArgumentError, Request, config_plugin

__all__ = [
    "ACCOUNT_LOCKED",
    "AUTH_FAILURE",
    "CAPTCHA_FAILURE",
    "OVERRIDE_FAILURE",
    "PASSWD_RESET_CLR",
    "InvalidArgumentError",
    "Request",
    "config_plugin",
]

# Signatures of events that many applications have.
AUTH_FAILURE = "AuthFail"
CAPTCHA_FAILURE = "CaptchaFail"
OVERRIDE_FAILURE = "InvalidAdmin"
ACCOUNT_LOCKED = "AccountLockout"
PASSWD_RESET_CLR = "PasswordResetCleared"  # noqa: S105 - the name of an event
