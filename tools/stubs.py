"""Typing stubs for the messages of xds-protos, made from its own descriptors: `python -m tools.stubs FOLDER`."""

import importlib
import pkgutil
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

from google.protobuf import descriptor_pb2, descriptor_pool
from google.protobuf.descriptor import FileDescriptor
from grpc_tools import protoc


def main(folder: str) -> int:
    """Only what the compiler imports, and what that leans on."""
    files = _with_dependencies(descriptor_pool.Default().FindFileByName(name) for name in _imported())
    Path(folder).mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(suffix=".pb") as described:
        described.write(_describe(files).SerializeToString())
        described.flush()
        wanted = [name for name in files if not name.startswith("google/protobuf/")]
        return int(protoc.main(["protoc", f"--descriptor_set_in={described.name}", f"--pyi_out={folder}", *wanted]))


def _imported() -> list[str]:
    """The .proto files behind every `_pb2` module that the compiler has loaded once all of it is imported."""
    package = importlib.import_module("compiler")
    for module in pkgutil.walk_packages(package.__path__, "compiler."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    modules = [module for name, module in sorted(sys.modules.items()) if name.endswith("_pb2")]
    return [module.DESCRIPTOR.name for module in modules if hasattr(module, "DESCRIPTOR")]


def _with_dependencies(files: Iterable[FileDescriptor]) -> dict[str, FileDescriptor]:
    found: dict[str, FileDescriptor] = {}
    waiting = list(files)
    while waiting:
        file = waiting.pop()
        if file.name not in found:
            found[file.name] = file
            waiting += file.dependencies
    return found


def _describe(files: dict[str, FileDescriptor]) -> descriptor_pb2.FileDescriptorSet:
    described = descriptor_pb2.FileDescriptorSet()
    placed: set[str] = set()

    def place(file: FileDescriptor) -> None:
        if file.name in placed:
            return
        placed.add(file.name)
        for dependency in file.dependencies:
            place(dependency)
        file.CopyToProto(described.file.add())

    for file in files.values():
        place(file)
    return described


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
