"""One Envoy from start to end: whatever happens in between, it does not outlive us."""

import asyncio
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from compiler.review.promises.stubs import is_live

_START_SECONDS: Final = 60.0
_STOP_SECONDS: Final = 5.0
_LOOK_SECONDS: Final = 0.01
_TAIL: Final = 5
_LONGEST_LINE: Final = 300


class EnvoyFailed(Exception):
    """Envoy does not start, or ended by itself; the message is a sentence for whoever asked."""


class PortTaken(EnvoyFailed):
    """Somebody else took a port between our looking and Envoy's: the next ports will do."""


@dataclass(frozen=True, slots=True)
class Binary:
    """An Envoy, and what its process calls before it starts: it is to end when we are killed outright."""

    path: Path
    end_with_us: Callable[[], None] | None = None


@asynccontextmanager
async def running(binary: Binary, bootstrap: Path, admin: str) -> AsyncIterator[None]:
    """From when it takes calls on all its ports; the bootstrap's file, which holds keys, is gone by then."""
    errors = bootstrap.with_suffix(".err")
    with errors.open("wb") as said:
        process = await asyncio.create_subprocess_exec(
            *_command(binary.path, bootstrap),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            process_group=0,
            preexec_fn=binary.end_with_us,
        )
    try:
        await _until_ready(process, admin, errors)
        bootstrap.unlink()  # noqa: ASYNC240  # one call of the kernel
        yield
    finally:
        await _stop(process)


def _command(binary: Path, bootstrap: Path) -> tuple[str, ...]:
    config = ("--config-path", str(bootstrap))
    return (str(binary), *config, "--disable-hot-restart", "--concurrency", "1", "--log-level", "error")


async def _until_ready(process: asyncio.subprocess.Process, admin: str, errors: Path) -> None:
    """Its listeners are bound before it says that it is live; nothing has called them by then."""
    try:
        async with asyncio.timeout(_START_SECONDS):
            while not await is_live(admin):
                if process.returncode is not None:
                    raise _failure(errors)
                await asyncio.sleep(_LOOK_SECONDS)
    except TimeoutError:
        raise EnvoyFailed(f"Envoy was not ready within {_START_SECONDS:.0f} s") from None


def _failure(errors: Path) -> EnvoyFailed:
    text = errors.read_text(encoding="utf-8", errors="replace")
    lines = [line[:_LONGEST_LINE] for line in text.splitlines() if line.strip()][-_TAIL:]
    if "Address already in use" in text or "cannot bind" in text:
        return PortTaken("Envoy could not listen: " + " / ".join(lines))
    return EnvoyFailed("Envoy refuses the snapshots: " + " / ".join(lines))


async def _stop(process: asyncio.subprocess.Process) -> None:
    """Asked, then killed; there is nothing to drain."""
    with suppress(ProcessLookupError):
        process.terminate()
    try:
        await asyncio.wait_for(process.wait(), _STOP_SECONDS)
    except TimeoutError:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


@contextmanager
def ending_in_order() -> Iterator[None]:
    """SIGTERM and SIGHUP end us as Ctrl-C does: what was started is ended, what was written is taken away.

    Only a program's main thread is told of signals; elsewhere they stay as they are.
    """

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before: dict[signal.Signals, object] = {}
    try:
        for number in (signal.SIGTERM, signal.SIGHUP):
            with suppress(ValueError):
                before[number] = signal.signal(number, interrupt)
        yield
    finally:
        for number, receiver in before.items():
            signal.signal(number, receiver)  # type: ignore[arg-type]  # what signal() gave back
