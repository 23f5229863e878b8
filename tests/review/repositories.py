"""Git repositories with a history, for tests that look into the past."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

MESH = "type: Mesh\nname: shop\n"
BACKEND = """\
type: Dataplane
mesh: shop
name: backend-1
networking:
  address: 127.0.0.2
  inbound: [{port: 8080, servicePort: 18080, tags: {kuma.io/service: backend, kuma.io/protocol: http}}]
"""
WEB = """\
type: Dataplane
mesh: shop
name: web-1
networking:
  address: 127.0.0.3
  inbound: [{port: 8081, servicePort: 18081, tags: {kuma.io/service: web, kuma.io/protocol: http}}]
  outbound: [{port: 10001, tags: {kuma.io/service: backend}}]
"""


def timeout(seconds: int) -> str:
    """A timeout for calls of the backend."""
    return f"""\
type: MeshTimeout
mesh: shop
name: backend
spec:
  to:
  - targetRef: {{kind: MeshService, name: backend}}
    default: {{http: {{requestTimeout: {seconds}s}}}}
"""


class Repository:
    """A working tree whose commits are made one after another, by whoever is named."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.git("init", "-q", "-b", "main")

    def git(self, *words: str, author: str = "Ann") -> str:
        who = {f"GIT_{role}_{what}": f"{author}{mail}" for role in ("AUTHOR", "COMMITTER") for what, mail in _WHO}
        environment = {**os.environ, **who}
        done = subprocess.run(
            ["git", *words], cwd=self.folder, env=environment, check=True, capture_output=True, text=True
        )
        return done.stdout.strip()

    def write(self, files: Mapping[str, str | None]) -> None:
        for path, text in files.items():
            file = self.folder / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.unlink() if text is None else file.write_text(text)

    def commit(self, files: Mapping[str, str | None], subject: str = "an edit", author: str = "Ann") -> str:
        self.write(files)
        self.git("add", "--all")
        self.git("commit", "-q", "--allow-empty", "-m", subject, author=author)
        return self.git("rev-parse", "HEAD")


_WHO = (("NAME", ""), ("EMAIL", "@example.org"))
