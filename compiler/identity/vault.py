"""Secrets that an operator gives to the server: what `FOLDER/<mesh>/<name>` holds, and whether it changed."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from compiler.identity.authority import IdentityError, read_private_file

_SUFFIX: Final = ".pem"
_LARGEST_FOLDER: Final = 10_000

Key = tuple[str, str]
Seen = tuple[tuple[str, int, int, int], ...]
"""What the system says of each file: its path, inode, size and time of change."""


@dataclass(frozen=True, slots=True, repr=False)
class Vault:
    """By mesh and name; `troubles` are sentences about files that cannot be used, which count as missing."""

    secrets: Mapping[Key, bytes] = field(default_factory=dict)
    troubles: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return "Vault([redacted])"

    def find(self, mesh: str, names: Sequence[str]) -> bytes | None:
        """The secrets of these names one after the other; None where one of them is missing."""
        found = [self.secrets.get((mesh, name)) for name in names]
        return b"\n".join(one for one in found if one is not None) if found and None not in found else None


@dataclass(slots=True)
class VaultFolder:
    """A folder that is looked at again and again; an empty one where none was given."""

    path: Path | None = None
    _seen: Seen | None = None

    def read(self) -> Vault:
        """All of it; IdentityError where there is no such folder."""
        if self.path is not None and not self.path.is_dir():
            raise IdentityError(f"The folder of secrets {self.path} is not there.")
        self._seen = self._look()
        return _read(self.path) if self.path is not None else Vault()

    def changed(self) -> Vault | None:
        """What it holds now, if anything in it was touched since it was read; a folder that is gone has nothing."""
        if self.path is None or self._look() == self._seen:
            return None
        self._seen = self._look()
        return _read(self.path)

    def _look(self) -> Seen:
        return tuple(_signatures(self.path)) if self.path is not None else ()


def _signatures(folder: Path) -> Iterator[tuple[str, int, int, int]]:
    for _, path in _files(folder):
        try:
            status = path.stat()
        except OSError:
            continue
        yield str(path), status.st_ino, status.st_size, status.st_ctime_ns


def _read(folder: Path) -> Vault:
    secrets: dict[Key, bytes] = {}
    troubles: list[str] = []
    for key, path in _files(folder):
        if key in secrets:
            troubles.append(f"There are two files for the secret {key[1]} of mesh {key[0]}; {path} is passed over.")
            continue
        try:
            secrets[key] = read_private_file(path, "secret")
        except IdentityError as error:
            troubles.append(str(error))
    return Vault(secrets, tuple(troubles))


def _files(folder: Path) -> Iterator[tuple[Key, Path]]:
    """Sorted; a name may have `.pem` behind it. What begins with a dot is the machinery of whoever mounts."""
    for mesh in _entries(folder):
        for path in _entries(mesh):
            yield (mesh.name, path.name.removesuffix(_SUFFIX)), path


def _entries(folder: Path) -> list[Path]:
    try:
        found = sorted(folder.iterdir())[:_LARGEST_FOLDER]
    except OSError:
        return []
    return [path for path in found if not path.name.startswith(".")]
