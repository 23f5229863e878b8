"""The serving image as the server reads it, so that it never opens Git nor parses what people wrote."""

import os
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import BinaryIO

from compiler.snapshot.image.frames import ImageDamaged
from compiler.snapshot.image.records import HEADER, apply_finished
from compiler.snapshot.image.segments import Segments
from compiler.snapshot.image.served import ServedGeneration

__all__ = ["ImageReader"]


class ImageReader:
    """Follows an image that another process appends to; a torn end is not seen, only whole generations are.

    The file that was read is held open: the system gives the number of a file that is gone to another one, which would
    then be taken for the same.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._held: BinaryIO | None = None
        self._segments = Segments()
        self._offset = 0
        self._records = 0

    @property
    def generation(self) -> ServedGeneration | None:
        """The one that was read last."""
        return self._segments.generation

    @property
    def is_replaced(self) -> bool:
        """Whether another file is there than was read, as after a compaction: all of it will have to be read."""
        if self._held is None:
            return False
        with suppress(OSError):
            return not os.path.samestat(self._path.stat(), os.fstat(self._held.fileno()))
        return False

    def latest(self) -> ServedGeneration | None:
        """Reads what was appended since; None where no generation was ever finished.

        Raises `ImageDamaged`; `generation` stays what it was, and is served on until the image is made anew.
        """
        try:
            file = self._path.open("rb")
        except FileNotFoundError:
            return self.generation
        with ExitStack() as closing:
            closing.callback(file.close)
            if self._held is None or not _is_longer(file, self._held, self._offset):
                if self._load(file.read()):
                    self._hold(file)
                    closing.pop_all()
                return self._segments.hand_out()
            file.seek(self._offset)
            self._read_on(file.read())
        return self._segments.hand_out()

    def _read_on(self, content: bytes) -> None:
        try:
            read = apply_finished(self._segments.apply, content, 0, self._records)
        except ImageDamaged:
            self._hold(None)  # the next look reads all of whatever stands there then
            raise
        self._offset, self._records = self._offset + read.end, self._records + read.records

    def _load(self, content: bytes) -> bool:
        """A new file: nothing is taken over until all of it is read; whether it was."""
        if not HEADER.startswith(content[: len(HEADER)]):
            raise ImageDamaged(f"{self._path} is no serving image of this version")
        if len(content) < len(HEADER):
            return False
        segments = Segments(self.generation)
        read = apply_finished(segments.apply, content, len(HEADER), 0)
        if segments.generation is None:
            return False
        segments.forget_known()
        self._segments, self._offset, self._records = segments, read.end, read.records
        return True

    def _hold(self, file: BinaryIO | None) -> None:
        if self._held is not None:
            self._held.close()
        self._held = file


def _is_longer(file: BinaryIO, held: BinaryIO, offset: int) -> bool:
    """Whether it is the file that is held, with at least what was read of it."""
    now, before = os.fstat(file.fileno()), os.fstat(held.fileno())
    return os.path.samestat(now, before) and now.st_size >= offset
