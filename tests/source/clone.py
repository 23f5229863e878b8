"""Real repositories for the tests of reading them."""

import os
import subprocess
from pathlib import Path

from compiler.source.tree import SourceTree

ENVIRONMENT = {
    "GIT_AUTHOR_NAME": "Ada Lovelace",
    "GIT_AUTHOR_EMAIL": "ada@example.com",
    "GIT_COMMITTER_NAME": "Ada Lovelace",
    "GIT_COMMITTER_EMAIL": "ada@example.com",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_TERMINAL_PROMPT": "0",
}


class Clone:
    """A repository on disk, driven by the git command, whose clock goes on an hour with each commit."""

    def __init__(self, path: Path, *options: str) -> None:
        self.path = path
        self.hour = 0
        path.mkdir(parents=True, exist_ok=True)
        self.git("init", "-q", "-b", "main", *options)

    def git(self, *arguments: str, stdin: bytes = b"") -> str:
        moment = f"{1_700_000_000 + 3600 * self.hour} +0000"
        environment = os.environ | ENVIRONMENT | {"GIT_AUTHOR_DATE": moment, "GIT_COMMITTER_DATE": moment}
        done = subprocess.run(
            ["git", *arguments], cwd=self.path, input=stdin, env=environment, capture_output=True, check=True
        )
        return done.stdout.decode().strip()

    def write(self, files: dict[str, str | bytes]) -> None:
        for name, content in files.items():
            (self.path / name).parent.mkdir(parents=True, exist_ok=True)
            (self.path / name).write_bytes(content.encode() if isinstance(content, str) else content)

    def commit(self, files: dict[str, str | bytes], subject: str = "a change") -> str:
        self.hour += 1
        self.write(files)
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", subject)
        return self.git("rev-parse", "HEAD")

    def commit_tree(self, lines: bytes) -> str:
        """A commit of a tree that git itself would not make."""
        tree = self.git("hash-object", "-t", "tree", "-w", "--literally", "--stdin", stdin=lines)
        return self.git("commit-tree", "-m", "made by hand", tree)

    def blob(self, content: str) -> bytes:
        return bytes.fromhex(self.git("hash-object", "-w", "--stdin", stdin=content.encode()))


def paths(tree: SourceTree) -> list[str]:
    return [file.path for file in tree.files]


FILES: dict[str, str | bytes] = {
    "meshwright.yaml": "schemaVersion: 1\n",
    "mesh.yaml": "type: Mesh\nname: default\n",
    "policies/timeout.yml": "type: MeshTimeout\n",
    "policies/limit.json": '{"type": "MeshRateLimit"}',
    "README.md": "# nothing",
    ".github/workflows/ci.yml": "on: push\n",
    "web/node_modules/x/package.json": "{}",
    "grüße/日本.yaml": "a: 1\n",
}
READ = ["grüße/日本.yaml", "mesh.yaml", "meshwright.yaml", "policies/limit.json", "policies/timeout.yml"]
