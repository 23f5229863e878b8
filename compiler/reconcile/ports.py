"""What the reconcile loop asks of the source, the compiler and the store: the seams at which tests put simple ones."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from compiler.diagnostics import Checked
from compiler.resources.resource_set import ResourceSet
from compiler.snapshot.digest import GenerationTree
from compiler.snapshot.snapshot import Generation
from compiler.source.tree import SourceTree


class SourceError(Exception):
    """The repository cannot say what its branch names: a sentence that says what to do; another try may go better."""


@dataclass(frozen=True, slots=True)
class Tip:
    """A commit that a branch names; its `tree` is empty until it was looked at.

    `moved` is when the ref was written, in seconds since 1970, where that can be told.
    """

    commit: str
    tree: str = ""
    message: str = ""
    moved: float | None = None


@dataclass(frozen=True, slots=True)
class Published:
    """What is served: a generation that is on disk; `number` grows by one with each digest that differs."""

    number: int
    commit: str
    digest: str


class Compiled(Protocol):
    """What a compile gives; `generation` is None where something was wrong."""

    @property
    def generation(self) -> Generation | None: ...

    @property
    def files(self) -> GenerationTree:
        """The tree of that generation; what it shares with the one before costs nobody anything."""

    @property
    def resources(self) -> ResourceSet: ...

    @property
    def counters(self) -> Mapping[str, int]:
        """How often each step ran for this commit."""


class Compiler(Protocol):
    """Keeps what it remembers between commits."""

    def compile(self, tree: SourceTree) -> Checked[Compiled]: ...


class Source(Protocol):
    """The watched repository."""

    def fetch(self) -> None:
        """Bring a remote's news here; nothing for a local repository. Raises SourceError."""

    def tip(self) -> str:
        """The commit that the branch names now. Raises SourceError."""

    def describe(self, commit: str) -> Tip:
        """Raises SourceError."""

    def read(self, tip: Tip) -> Checked[SourceTree]:
        """Raises SourceError."""


class Shelf(Protocol):
    """Where generations are kept and the server takes them from; raises StoreError where the disk fails."""

    def recover(self) -> Published | None:
        """What is published already, and where the server finds it; None where nothing is."""

    def publish(self, generation: Generation, files: GenerationTree, tip: Tip) -> Published:
        """Durable on return; a crash before leaves what was published before. An unchanged digest keeps its number.

        `files` is the generation's tree.
        """

    def serve(self, published: Published, generation: Generation, files: GenerationTree) -> None:
        """Put it where the server reads."""

    def census(self) -> Mapping[str, int] | None:
        """What the published generation counted; None where nothing is published."""

    def note_census(self, digest: str, census: Mapping[str, int]) -> None: ...

    def tidy(self) -> bool:
        """A little of what can wait until nothing else is to be done; whether to go on with it at once."""

    def close(self) -> None:
        """Nothing goes on once this process has ended."""
