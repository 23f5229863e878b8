"""Hatchling's hook for a wheel whose hot modules are compiled: with `HATCH_BUILD_HOOKS_ENABLE=1` (decision 21)."""

import importlib.util
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class NativeWheel(BuildHookInterface[Any]):
    """The sources go along, so tracebacks and profiles keep their lines."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """An editable install stays interpreted: what is edited is what runs."""
        if version == "editable":
            return
        native = _load(Path(self.root) / "tools" / "native.py")
        self._folder = tempfile.TemporaryDirectory()  # It lasts as long as this hook.
        folder = Path(self._folder.name)
        native.build(folder, Path(self.root))
        made = {str(path): str(path.relative_to(folder)) for path in sorted(folder.rglob("*.so"))}
        build_data["force_include"].update(made)
        build_data["pure_python"] = False
        build_data["infer_tag"] = True


def _load(path: Path) -> Any:
    """A build does not have the project on its path."""
    spec = importlib.util.spec_from_file_location("native", path)
    if spec is None or spec.loader is None:
        raise RuntimeError(f"{path} is not there")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
