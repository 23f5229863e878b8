"""A seeded workload as a real Git repository: the same shape gives the same tree id.

Left out of what a full workload has, because these kinds do not exist yet: MeshRateLimit, MeshFaultInjection,
MeshHealthCheck, MeshLoadBalancingStrategy and MeshProxyPatch (half a policy for each service in all).
"""

import os
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

from benchmarks import documents
from benchmarks.fleet import Fleet, Service, draw_fleet
from benchmarks.tiers import Shape

BRANCH: Final = "main"
MESH_TIMEOUT: Final = "mesh/timeout-to-all.yaml"
_AUTHOR: Final = "benchmark <benchmark@localhost> 1767225600 +0000"


def write_files(fleet: Fleet) -> Mapping[str, bytes]:
    """Every file by its path."""
    return {path: text.encode() for path, text in _files(fleet)}


def make_repository(path: Path, shape: Shape) -> Fleet:
    """A bare repository with one commit on its branch; `path` must not exist."""
    fleet = draw_fleet(shape)
    import_files(path, write_files(fleet))
    return fleet


def import_files(path: Path, files: Mapping[str, bytes]) -> None:
    """One pack, through git itself; raises CalledProcessError where git fails."""
    _git(["init", "--quiet", "--bare", f"--initial-branch={BRANCH}", str(path)])
    _git(["-C", str(path), "config", "fastimport.unpackLimit", "0"])
    _git(["-C", str(path), "fast-import", "--quiet"], b"".join(_stream(files)))


def _git(arguments: Iterable[str], stream: bytes = b"") -> None:
    """Nothing that stands in the configuration of whoever runs it has a say."""
    environment = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    subprocess.run(["git", *arguments], input=stream, check=True, env=environment)


def _stream(files: Mapping[str, bytes]) -> Iterator[bytes]:
    """git fast-import's language, contents inline."""
    yield f"commit refs/heads/{BRANCH}\ncommitter {_AUTHOR}\ndata 9\nWorkload\n\n".encode()
    for path, content in files.items():
        yield b"M 100644 inline %s\ndata %d\n%s\n" % (path.encode(), len(content), content)


def _files(fleet: Fleet) -> Iterator[tuple[str, str]]:
    yield "mesh/mesh.yaml", documents.write_mesh(fleet)
    yield "mesh/zones.yaml", documents.write_zones()
    yield MESH_TIMEOUT, documents.write_mesh_timeout()
    for name, text in documents.write_mesh_policies():
        yield f"mesh/{name}.yaml", text
    for service in fleet.services:
        for name, text in _service_files(fleet, service):
            yield f"{service.folder}/{name}.yaml", text


def _service_files(fleet: Fleet, service: Service) -> Iterator[tuple[str, str]]:
    yield "service", documents.write_service(service)
    if fleet.shape.per_dataplane:
        for replica in service.replicas:
            yield f"dataplanes/{replica.name}", documents.write_dataplane(service, replica, fleet.shape.trimming)
    else:
        yield "dataplanes", documents.write_dataplane_set(service, None, fleet.shape.trimming)
    yield "permission", documents.write_permission(fleet, service)
    if service.retry:
        yield "retry", documents.write_retry(service)
    for name in sorted(service.others):
        yield name, documents.OTHERS[name](service)
    if service.inbound_timeout:
        yield "timeout", documents.write_inbound_timeout(service)
    yield from _outbound_files(fleet, service)


def _outbound_files(fleet: Fleet, service: Service) -> Iterator[tuple[str, str]]:
    """What a service says of its own calls; a route splits its traffic between two of them."""
    targets = fleet.http_calls(service)
    if service.outbound_timeout and targets:
        yield "timeout-to", documents.write_outbound_timeout(service, targets[0])
    if service.route and len(targets) > 1:
        yield "route", documents.write_route(service, targets[0], targets[-1])
