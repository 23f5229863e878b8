"""Trees (or commits, where no tree was read yet) that killed the worker: after the second time not tried again."""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

KILLS: Final = 2


@dataclass(frozen=True, slots=True)
class Verdict:
    """How often a tree killed the worker, and what happened last."""

    kills: int
    reason: str
    commit: str
    at: float


class Quarantine:
    """Held in memory and in one small file; a file that cannot be written or read costs only the memory."""

    def __init__(self, path: Path, version: str) -> None:
        self._path = path
        self._version = version
        self._verdicts = _read(path, version)

    def blame(self, tree: str, commit: str, reason: str) -> Verdict:
        """One kill more for this tree."""
        before = self._verdicts.get(tree)
        verdict = Verdict((before.kills if before else 0) + 1, reason, commit, time.time())
        self._verdicts[tree] = verdict
        self._write()
        return verdict

    def absolve(self, tree: str) -> None:
        """It compiled after all: what happened before was not its doing."""
        if self._verdicts.pop(tree, None) is not None:
            self._write()

    def forgive(self) -> None:
        """Every tree may be tried again."""
        self._verdicts.clear()
        self._write()

    @property
    def trees(self) -> Mapping[str, str]:
        """The trees that are not compiled any more, each with the reason as a sentence."""
        return {
            tree: f"it killed the compiling process {verdict.kills} times (last: {verdict.reason})"
            for tree, verdict in self._verdicts.items()
            if verdict.kills >= KILLS
        }

    def _write(self) -> None:
        verdicts = {tree: [v.kills, v.reason, v.commit, v.at] for tree, v in self._verdicts.items()}
        fresh = self._path.with_suffix(".new")
        try:
            fresh.write_text(json.dumps({"version": self._version, "trees": verdicts}))
            fresh.replace(self._path)
        except OSError:
            return


def _read(path: Path, version: str) -> dict[str, Verdict]:
    """Nothing when another version of ours wrote it: the new one may have mended what was wrong."""
    try:
        written = json.loads(path.read_text())
        if written["version"] != version:
            return {}
        return {str(tree): Verdict(int(k), str(r), str(c), float(a)) for tree, (k, r, c, a) in written["trees"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}
