"""`python -m tools.native FOLDER [COMMAND …]`: a copy of the package, its hot modules compiled by mypyc (decision 21).

The command runs with that copy in the place of the sources. What is compiled is made again only where it has changed.
"""

import hashlib
import os
import platform
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parent.parent

PACKAGES: Final = ("compiler/http2", "compiler/xds")
INTERPRETED: Final = frozenset({"__init__.py", "metrics.py", "over_grpcio.py"})
"""Classes below a library's own, and what is imported only where it is wanted."""

_SETUP: Final = """
from setuptools import setup
from mypyc.build import mypycify

extensions = mypycify(["--config-file=", "--ignore-missing-imports", *{modules!r}], opt_level="3")
setup(name="meshwright-native", packages=[], py_modules=[], ext_modules=extensions)
"""


_PROOF: Final = """
import importlib
names = {names!r}
interpreted = [name for name in names if not importlib.import_module(name).__file__.endswith(".so")]
assert not interpreted, f"not compiled: {{interpreted}}"
"""


def main(arguments: Sequence[str]) -> int:
    """Raises RuntimeError where it cannot be compiled, or the command would run with the sources."""
    if not arguments:
        sys.exit(__doc__)
    target, command = Path(arguments[0]).resolve(), arguments[1:]
    build(target)
    around = {**os.environ, "PYTHONSAFEPATH": "1", "PYTHONPATH": os.pathsep.join((str(target), str(ROOT)))}
    names = [module.removesuffix(".py").replace("/", ".") for module in list_modules()]
    subprocess.run([sys.executable, "-c", _PROOF.format(names=names)], check=True, env=around)
    if command:
        os.execvpe(command[0], list(command), around)
    return 0


def build(target: Path, root: Path = ROOT) -> bool:
    """Whether anything had to be compiled; raises RuntimeError with what the compilers said.

    A folder that was made by this is emptied where it is old; one with anything else in it is refused.
    """
    modules = list_modules(root)
    fingerprint = _take_fingerprint(root, modules)
    mark = target / ".native"
    if not mark.exists() and target.exists() and any(target.iterdir()):
        raise RuntimeError(f"{target} holds something else: name a folder that is empty or not there yet")
    fresh = not mark.exists() or mark.read_text() != fingerprint
    if fresh:
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir(parents=True)
        mark.touch()
    _copy(root, target)
    if fresh:
        _compile(target, modules)
        mark.write_text(fingerprint)
    return fresh


def list_modules(root: Path = ROOT) -> tuple[str, ...]:
    """Relative to the root."""
    found = (path for package in PACKAGES for path in sorted((root / package).glob("*.py")))
    return tuple(str(path.relative_to(root)) for path in found if path.name not in INTERPRETED)


def _compile(folder: Path, modules: Iterable[str]) -> None:
    """Beside their sources; the library that all of them share is the folder's."""
    setup = folder / "setup.py"
    setup.write_text(_SETUP.format(modules=list(modules)))
    command = [sys.executable, setup.name, "--quiet", "build_ext", "--inplace"]
    done = subprocess.run(command, check=False, cwd=folder, capture_output=True, text=True)
    setup.unlink()
    shutil.rmtree(folder / "build", ignore_errors=True)
    if done.returncode:
        raise RuntimeError(f"{done.stdout}{done.stderr}")


def _copy(root: Path, target: Path) -> None:
    """What is no longer in the package is none of the copy's either."""
    for package in ("compiler", "schemas"):
        sources = {path.relative_to(root) for path in (root / package).rglob("*") if _is_source(path)}
        for old in (target / package).rglob("*"):
            if _is_source(old) and old.suffix != ".so" and old.relative_to(target) not in sources:
                old.unlink()
        for source in sources:
            copied = target / source
            copied.parent.mkdir(parents=True, exist_ok=True)
            if not copied.exists() or copied.read_bytes() != (root / source).read_bytes():
                shutil.copyfile(root / source, copied)


def _is_source(path: Path) -> bool:
    return path.is_file() and "__pycache__" not in path.parts


def _take_fingerprint(root: Path, modules: Iterable[str]) -> str:
    """Of all that decides what is made; types of other modules are not compiled in, beyond their names."""
    taken = hashlib.sha256()
    for part in (sys.version, platform.machine(), str(sysconfig.get_config_var("EXT_SUFFIX")), version("mypy"), _SETUP):
        taken.update(part.encode())
    for module in modules:
        taken.update(module.encode() + b"\0" + (root / module).read_bytes())
    return taken.hexdigest()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
