"""A repository with one branch, and what its commits were."""

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

BRANCH = "main"


@dataclass(frozen=True, slots=True)
class Commit:
    """`moved` is when the branch was written, in seconds since 1970."""

    id: str
    moved: float


@dataclass(frozen=True, slots=True)
class Repository:
    path: Path

    @classmethod
    def create(cls, path: Path, files: Mapping[str, str]) -> "Repository":
        path.mkdir(parents=True)
        repository = cls(path)
        repository.git("init", "--quiet", "--initial-branch", BRANCH)
        repository.commit("the beginning", files)
        return repository

    def commit(self, subject: str, files: Mapping[str, str]) -> Commit:
        """Files that are written; all others stay."""
        for name, text in files.items():
            file = self.path / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        return self._commit(subject)

    def restore(self, files: Mapping[str, str], message: str = "restored") -> Commit | None:
        """Exactly these files; None where it is so already."""
        for file in self.git("ls-files").splitlines():
            if file not in files:
                (self.path / file).unlink()
        for name, text in files.items():
            (self.path / name).write_text(text)
        return self._commit(message) if self.git("status", "--porcelain") else None

    def head(self) -> str:
        return self.git("rev-parse", "HEAD")

    def git(self, *arguments: str) -> str:
        """Nothing of the user's own settings plays into it."""
        own = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
        settings = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
        people = {
            f"GIT_{who}_{what}": "tests@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
        }
        command = ("git", "-c", "gc.auto=0", *arguments)
        done = subprocess.run(
            command, cwd=self.path, env=own | settings | people, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def _commit(self, subject: str) -> Commit:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", subject)
        return Commit(self.head(), (self.path / ".git" / "refs" / "heads" / BRANCH).stat().st_mtime)
