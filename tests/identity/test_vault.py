"""A folder of secrets: what is read of it, what is not, and when it counts as changed."""

from pathlib import Path

import pytest

from compiler.identity.authority import IdentityError
from compiler.identity.vault import Vault, VaultFolder


def put(folder: Path, name: str, content: str, mode: int = 0o600) -> Path:
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(content)
    path.chmod(mode)
    return path


def test_a_secret_is_found_by_mesh_and_name_with_or_without_an_ending(tmp_path: Path) -> None:
    put(tmp_path, "shop/api-key", "one")
    put(tmp_path, "shop/cert.pem", "two")
    vault = VaultFolder(tmp_path).read()
    assert vault.find("shop", ("api-key", "cert")) == b"one\ntwo"
    for mesh, names in (("shop", ("api-key", "gone")), ("other", ("api-key",)), ("shop", ())):
        assert vault.find(mesh, names) is None
    assert vault.troubles == ()


def test_a_file_that_others_can_read_counts_as_missing_and_is_told_of(tmp_path: Path) -> None:
    put(tmp_path, "shop/open", "one", 0o644)
    vault = VaultFolder(tmp_path).read()
    assert vault.find("shop", ("open",)) is None
    assert "mode 0644 but must have 0600" in vault.troubles[0]


def test_two_files_of_one_name_are_told_of_and_the_first_counts(tmp_path: Path) -> None:
    put(tmp_path, "shop/key", "one")
    put(tmp_path, "shop/key.pem", "two")
    vault = VaultFolder(tmp_path).read()
    assert vault.find("shop", ("key",)) == b"one"
    assert "two files for the secret key of mesh shop" in vault.troubles[0]


def test_a_change_is_seen_once_whether_content_file_or_mount_is_exchanged(tmp_path: Path) -> None:
    folder, mounts = tmp_path / "secrets", tmp_path / "mounts"
    for version in ("1", "2"):
        put(mounts, f"{version}-key", version)
    (folder / "shop").mkdir(parents=True)
    link = folder / "shop" / "key"
    link.symlink_to(mounts / "1-key")
    watched = VaultFolder(folder)
    assert watched.read().find("shop", ("key",)) == b"1"
    assert watched.changed() is None
    (folder / "shop" / "..new").symlink_to(mounts / "2-key")
    (folder / "shop" / "..new").replace(link)
    changed = watched.changed()
    assert changed is not None
    assert changed.find("shop", ("key",)) == b"2"
    assert watched.changed() is None
    put(mounts, "2-key", "3")
    again = watched.changed()
    assert again is not None
    assert again.find("shop", ("key",)) == b"3"


def test_a_folder_that_goes_leaves_nothing_and_one_that_was_never_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(IdentityError, match="is not there"):
        VaultFolder(tmp_path / "gone").read()
    folder = tmp_path / "secrets"
    path = put_in(folder)
    watched = VaultFolder(folder)
    watched.read()
    path.unlink()
    changed = watched.changed()
    assert changed is not None
    assert changed.secrets == {}
    assert VaultFolder().read().secrets == {}
    assert VaultFolder().changed() is None


def put_in(folder: Path) -> Path:
    folder.mkdir()
    return put(folder, "shop/key", "one")


def test_it_prints_as_redacted() -> None:
    assert "hidden" not in repr(Vault({("shop", "key"): b"hidden"}))
