"""What no waiting mends is said before anything starts."""

from pathlib import Path
from typing import Final

from compiler.reconcile.address import Refusal, parse_address, require_free
from compiler.reconcile.exit_codes import UNAVAILABLE, UNREADABLE, USAGE
from compiler.reconcile.options import ServeOptions
from compiler.source.refs import is_ref_name

_LONGEST_INTERVAL: Final = 86_400.0


def refuse_early(options: ServeOptions) -> None:
    """Raises Refusal: of several mistakes, one in what was typed comes first.

    A branch that is missing, and a repository that exists but cannot be read yet, are waited for; a repository that is
    nowhere is not. With a snapshot on disk it may even be gone: what was published is served (promise 5).
    """
    if not options.insecure:
        raise Refusal("xDS is plaintext until proxies can prove who they are: --insecure serves it on loopback", USAGE)
    if not 0 < options.interval <= _LONGEST_INTERVAL:
        raise Refusal(f"--interval {options.interval} is not a number of seconds above zero, up to a day", USAGE)
    flags = (("--xds", options.xds), ("--http", options.http), ("--health", options.health))
    addresses = [(flag, parse_address(flag, text)) for flag, text in flags]
    if options.offline:
        _require_snapshot(options)
    else:
        _refuse_mistyped_source(options)
        _require_source(options)
    for flag, address in addresses:
        require_free(flag, address)
    _make_folder(options.data)


def local_folder(repository: str) -> Path | None:
    """A path, or a file:// address of this machine; None for other URLs and `user@host:path`."""
    path = repository.removeprefix("file://")
    if "://" in path or (":" in path and "/" not in path.partition(":")[0]):
        return None
    return Path(path)


def place_of(repository: str) -> str:
    """What a snapshot names as its source: a relative path would mean another place to whoever reads it."""
    folder = local_folder(repository)
    return repository if folder is None or folder.is_absolute() else str(folder.resolve())


def _refuse_mistyped_source(options: ServeOptions) -> None:
    """What no repository, however it grows, could have."""
    if not options.repo:
        raise Refusal("--repo is missing: name the mesh repository, or serve what is on disk with --offline", USAGE)
    if local_folder(options.repo) is None and not Path(options.repo).exists():
        raise Refusal("--repo is on another machine, which is not followed yet; give the path of a local clone", USAGE)
    if not is_ref_name(options.ref):
        raise Refusal(f"--ref {options.ref!r} is no name that a branch or tag can have", USAGE)
    if ".." in options.path.split("/"):
        raise Refusal(f"--path {options.path!r} leads out of the repository; name a folder in it", USAGE)


def _require_snapshot(options: ServeOptions) -> None:
    if not _has_snapshot(Path(options.data)):
        raise Refusal(f"{options.data!r} holds no published snapshot to serve --offline", UNAVAILABLE)


def _require_source(options: ServeOptions) -> None:
    folder = local_folder(options.repo)
    if folder is not None and not folder.exists() and not _has_snapshot(Path(options.data)):
        raise Refusal(
            f"there is no repository at {options.repo!r} and no published snapshot in {options.data!r} to serve; "
            "check --repo and --data",
            UNAVAILABLE,
        )


def _make_folder(data: str) -> None:
    """The last thing, so that a refusal leaves nothing behind. What can be no folder holds nothing to serve either."""
    try:
        Path(data).mkdir(mode=0o700, parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise Refusal(f"--data {data!r} cannot be a folder: a file stands in its way", UNREADABLE) from error
    except OSError as error:
        raise Refusal(f"--data {data!r} cannot be made: {error.strerror}", UNREADABLE) from error


def _has_snapshot(data: Path) -> bool:
    return (data / "serving.image").exists() or (data / "snapshots.git").exists()
