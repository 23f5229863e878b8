"""What no waiting mends is said before anything starts."""

from pathlib import Path

from compiler.reconcile.address import Refusal, parse_address, require_free
from compiler.reconcile.exit_codes import UNAVAILABLE, USAGE
from compiler.reconcile.options import ServeOptions


def refuse_early(options: ServeOptions) -> None:
    """Raises Refusal. A repository that exists but cannot be read yet is waited for; one that is nowhere is not.

    With a snapshot on disk the repository may even be gone: what was published is served (promise 5).
    """
    if not options.insecure:
        raise Refusal("xDS is plaintext until proxies can prove who they are: --insecure serves it on loopback", USAGE)
    if not options.interval > 0:
        raise Refusal(f"--interval {options.interval} is not a number of seconds above zero", USAGE)
    for flag, text in (("--xds", options.xds), ("--http", options.http)):
        require_free(flag, parse_address(flag, text))
    if options.offline and not _has_snapshot(Path(options.data)):
        raise Refusal(f"{options.data!r} holds no published snapshot to serve --offline", UNAVAILABLE)
    folder = local_folder(options.repo)
    if folder is not None and not folder.exists() and not _has_snapshot(Path(options.data)):
        raise Refusal(
            f"there is no repository at {options.repo!r} and no published snapshot in {options.data!r} to serve; "
            "check --repo and --data",
            UNAVAILABLE,
        )


def local_folder(repository: str) -> Path | None:
    """A path, or a file:// address of this machine; None for other URLs and `user@host:path`."""
    path = repository.removeprefix("file://")
    if "://" in path or (":" in path and "/" not in path.partition(":")[0]):
        return None
    return Path(path)


def _has_snapshot(data: Path) -> bool:
    return (data / "serving.image").exists() or (data / "snapshots.git").exists()
