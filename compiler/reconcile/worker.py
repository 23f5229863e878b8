"""The process that reads, compiles and publishes; a commit that brings it down brings down nothing else."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, cast

from compiler import pipeline
from compiler.reconcile.answers import list_questions
from compiler.reconcile.options import ServeOptions
from compiler.reconcile.preflight import place_of
from compiler.reconcile.shelf import DataShelf
from compiler.reconcile.watched import WatchedRepository
from compiler.reconcile.work import Tools, work
from compiler.snapshot.lock import Lock

if TYPE_CHECKING:
    from compiler.reconcile.ports import Compiler


def equip(options: ServeOptions, lock: int | None) -> Tools:
    """The real tools; schemas are loaded here, after the first beat."""
    data, compiler = Path(options.data), pipeline.Compiler(zone=options.zone)
    return Tools(
        source=WatchedRepository(options.repo, options.ref, options.path, data / "mirror.git"),
        # Checked is invariant, so its Compiled does not pass for ours although it has all that ours asks for.
        compiler=cast("Compiler", compiler),
        shelf=DataShelf(data, Lock(data / "lock", -1 if lock is None else lock), place_of(options.repo)),
        questions=list_questions(compiler),
    )


if __name__ == "__main__":
    sys.exit(work(equip))
