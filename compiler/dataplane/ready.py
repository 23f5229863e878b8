"""Waiting for a sidecar: an application that starts before its proxy is ready has no network."""

import time
import urllib.error
import urllib.request
from collections.abc import Callable
from http.client import HTTPException
from typing import Final
from urllib.parse import urlsplit

from compiler.dataplane.bootstrap import DataplaneError

_ASKED_EVERY: Final = 0.25
_ANSWERED_WITHIN: Final = 1.0


class NoAddressError(DataplaneError):
    """Not a proxy that is not ready, but nothing that could be asked."""


def wait_until_ready(url: str, seconds: float, now: Callable[[], float] = time.monotonic) -> None:
    """Returns on the first answer 200; DataplaneError with the last reason where there is none in time."""
    if not _is_address(url):
        raise NoAddressError(f"{url!r} is no HTTP address: it takes http://HOST:PORT/PATH")
    deadline = now() + seconds
    while (reason := _ask(url)) is not None:
        if now() >= deadline:
            raise DataplaneError(f"{url} was not ready in {seconds:g}s: {reason}")
        time.sleep(_ASKED_EVERY)


def _is_address(url: str) -> bool:
    if any(letter <= " " for letter in url):
        return False
    try:
        parts = urlsplit(url)
        return parts.scheme == "http" and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _ask(url: str) -> str | None:
    """Why it is not ready yet; None once it is."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=_ANSWERED_WITHIN) as answer:
            return None if answer.status == 200 else f"it answered {answer.status}"
    except urllib.error.HTTPError as error:
        return f"it answered {error.code}"
    except (OSError, HTTPException) as error:
        return str(getattr(error, "reason", error))
