"""The Git side of the demo: a bare remote, and the working copy from which commits are pushed."""

import os
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from compiler.demo.failure import CannotStart, DemoFailed

BRANCH: Final = "main"


@dataclass(frozen=True, slots=True)
class Pushed:
    """A commit that the remote has; `moved` is when the remote's branch was written, in seconds since 1970."""

    commit: str
    moved: float

    @property
    def short(self) -> str:
        return self.commit[:7]


@dataclass(frozen=True, slots=True)
class Remote:
    """A bare repository and a clone of it."""

    bare: Path
    work: Path

    @classmethod
    def create(cls, example: Path, folder: Path) -> "Remote":
        """What a team does once: the example becomes a repository and is pushed."""
        remote = cls(folder / "shop.git", folder / "shop")
        shutil.copytree(example, remote.work)
        git("init", "--quiet", "--bare", "--initial-branch", BRANCH, str(remote.bare), at=folder)
        git("init", "--quiet", "--initial-branch", BRANCH, at=remote.work)
        for name, value in (("user.name", "Meshwright demo"), ("user.email", "demo@localhost")):
            git("config", name, value, at=remote.work)
        git("remote", "add", "origin", str(remote.bare), at=remote.work)
        git("add", "--all", at=remote.work)
        git("commit", "--quiet", "--message", "the shop", at=remote.work)
        git("push", "--quiet", "--set-upstream", "origin", BRANCH, at=remote.work)
        return remote

    def head(self) -> str:
        return git("rev-parse", "HEAD", at=self.work).strip()

    def edit(self, file: str, replacements: Mapping[str, str], message: str) -> Pushed:
        """Commit and push one file, of which each text to replace must stand there once."""
        path = self.work / file
        text = path.read_text(encoding="utf-8")
        for before, after in replacements.items():
            if text.count(before) != 1:
                raise DemoFailed(f"{file} was to be edited, but {before.strip()!r} does not stand in it once.")
            text = text.replace(before, after)
        path.write_text(text, encoding="utf-8")
        git("commit", "--quiet", "--all", "--message", message, at=self.work)
        return self._push()

    def revert(self, commits: Iterable[str]) -> Pushed:
        """Later commits first."""
        git("revert", "--no-edit", *commits, at=self.work)
        return self._push()

    def subject(self, pushed: Pushed) -> str:
        return git("log", "-1", "--format=%s", pushed.commit, at=self.work).strip()

    def changes(self, pushed: Pushed) -> tuple[str, ...]:
        """The lines that a commit takes away and adds."""
        shown = git("show", "--format=", "--unified=0", pushed.commit, at=self.work).splitlines()
        lines = [line for line in shown if line[:1] in {"-", "+"} and line[:3] not in {"---", "+++"}]
        return tuple(f"{line[0]} {line[1:].strip()}" for line in lines)

    def _push(self) -> Pushed:
        git("push", "--quiet", at=self.work)
        return Pushed(self.head(), (self.bare / "refs" / "heads" / BRANCH).stat().st_mtime)


def require_git() -> None:
    if shutil.which("git") is None:
        raise CannotStart("There is no git on PATH, which the demo and the reconciler need: install the package git.")


def git(*arguments: str, at: Path) -> str:
    """What git prints; nothing of the user's own settings plays into it. Raises DemoFailed with git's last words."""
    done = subprocess.run(
        ("git", "--no-pager", *arguments), cwd=at, env=_environment(), capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise DemoFailed(f"git {arguments[0]} failed: {done.stderr.strip()}")
    return done.stdout


def _environment() -> dict[str, str]:
    """Without GIT_DIR and the like, which stand in the environment of a hook, and without hooks and signing keys."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    return own | {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", "GIT_EDITOR": "true"}
