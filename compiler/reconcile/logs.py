"""Logs of worker and server: JSON lines on stderr with event, process, commit and digest."""

import sys

import orjson
import structlog


def configure_logs(process: str, *, debug: bool = False) -> None:
    """Once for each process, before its first line."""
    structlog.configure(
        processors=[
            _name(process),
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt=None),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(serializer=_dump),
        ],
        wrapper_class=structlog.make_filtering_bound_logger("debug" if debug else "info"),
        # A line in one write: the processes share one stderr.
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )


def _name(process: str) -> structlog.typing.Processor:
    def add(_: object, __: str, line: structlog.typing.EventDict) -> structlog.typing.EventDict:
        return {**line, "process": process}

    return add


def _dump(line: object, **_: object) -> str:
    return orjson.dumps(line, default=str).decode()
