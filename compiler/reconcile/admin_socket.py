"""The Unix socket that our own user alone may open."""

import contextlib
import os
import socket
from pathlib import Path

from compiler.reconcile.address import Refusal
from compiler.reconcile.exit_codes import UNAVAILABLE


def open_admin_socket(path: Path) -> socket.socket:
    """Mode 0600; a socket that nobody answers on is a leftover and is replaced. Raises Refusal."""
    bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if path.is_socket():
            _require_abandoned(path)
            path.unlink()
        before = os.umask(0o177)
        try:
            bound.bind(str(path))
            bound.listen(16)
        finally:
            os.umask(before)
    except OSError as error:
        bound.close()
        raise Refusal(f"cannot listen on --admin {path}: {error.strerror or error}", UNAVAILABLE) from error
    return bound


def _require_abandoned(path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        with contextlib.suppress(ConnectionRefusedError):
            probe.connect(str(path))
            raise Refusal(f"cannot listen on --admin {path}: another instance answers there", UNAVAILABLE)
