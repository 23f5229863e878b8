"""What a published commit says of itself: its generation, its digest, and the source that it came from."""

import re
from dataclasses import dataclass, field
from typing import Final

from compiler.snapshot.digest import COMPILER_VERSION

__all__ = ["Published", "SourceCommit", "parse_commit", "write_message"]

_CREDENTIALS: Final = re.compile(r"(?<=://)[^/@\s]*@")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]+")
_SUBJECT_LENGTH: Final = 100
_HEADER: Final = re.compile(r"^committer .* (\d+) [+-]\d{4}$", re.MULTILINE)
_PARENT: Final = re.compile(r"^parent ([0-9a-f]{40})$", re.MULTILINE)
_SUBJECT: Final = re.compile(r"generation \d+: (.*)")


@dataclass(frozen=True, slots=True)
class SourceCommit:
    """Where a generation came from; a directory that is no commit has none. Credentials in a URL are dropped."""

    repository: str
    commit: str | None
    tree: str
    subject: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "repository", _CREDENTIALS.sub("", _CONTROL.sub("", self.repository)))
        object.__setattr__(self, "subject", _CONTROL.sub(" ", self.subject).strip()[:_SUBJECT_LENGTH])


@dataclass(frozen=True, slots=True)
class Published:
    """A commit of the store. Commits of one generation number differ in their source only, never in the snapshots."""

    commit: str
    digest: str
    number: int
    source: SourceCommit
    seconds: int
    compiler: str = COMPILER_VERSION
    parents: tuple[str, ...] = field(default=(), compare=False)


def write_message(number: int, digest: str, source: SourceCommit) -> str:
    """A subject for `git log`, and trailers that `git interpret-trailers` and `parse_commit` read."""
    trailers = {
        "Generation": str(number),
        "Digest": digest,
        "Source-Repository": source.repository,
        "Source-Commit": source.commit or "",
        "Source-Tree": source.tree,
        "Compiler-Version": COMPILER_VERSION,
    }
    lines = [f"{name}: {value}" for name, value in trailers.items() if value]
    return "\n".join([f"generation {number}: {source.subject}".removesuffix(": "), "", *lines, ""])


def parse_commit(commit: str, content: bytes) -> Published:
    """Raises `ValueError` for a commit that we did not make."""
    header, _, message = content.decode(errors="replace").partition("\n\n")
    trailers = dict(line.split(": ", 1) for line in message.splitlines()[1:] if ": " in line)
    committed = _HEADER.search(header)
    if committed is None or not trailers.keys() >= {"Generation", "Digest"}:
        raise ValueError(f"commit {commit} is not one of ours")
    source = SourceCommit(
        repository=trailers.get("Source-Repository", ""),
        commit=trailers.get("Source-Commit"),
        tree=trailers.get("Source-Tree", ""),
        subject=subject[1] if (subject := _SUBJECT.match(message)) else "",
    )
    return Published(
        commit=commit,
        digest=trailers["Digest"],
        number=int(trailers["Generation"]),
        source=source,
        seconds=int(committed[1]),
        compiler=trailers.get("Compiler-Version", ""),
        parents=tuple(_PARENT.findall(header)),
    )
