"""Backends of a Mesh that policies stand for which were legacy ones: looked up when a conf is merged."""

from collections.abc import Iterator
from typing import cast

from compiler.mesh.collectors import confs_of, resolve_collectors
from compiler.mesh.policy import FindResource
from compiler.resources.backends import DECLARED, write_logging, write_sampling, write_tracing
from compiler.resources.findings import DANGLING_REF, NO_EFFECT, Finding, join
from compiler.resources.model import Conf, Mesh, Policy, Resource
from compiler.resources.specs.mesh import LoggingBackend, TracingBackend
from compiler.resources.suggest import did_you_mean, one_of


def resolve_logging(conf: Conf, find: FindResource) -> Conf:
    """With the Mesh's backends and collectors in their places; what there is not is left out."""
    if is_declared(conf):
        found = (_log(one, find) if one["type"] == DECLARED else one for one in conf["backends"])
        conf = {**conf, "backends": [one for one in found if one is not None]}
    return resolve_collectors(conf, find)


def resolve_tracing(conf: Conf, find: FindResource) -> Conf:
    """The share of requests is that of the backend, unless a policy says another."""
    if is_declared(conf):
        backend = _traced(conf["backends"][0], find)
        written = write_tracing(backend.type, backend.conf) if backend is not None else None
        sampling = write_sampling(backend.sampling) if backend is not None else {}
        conf = {**sampling, **conf, "backends": [written] if written is not None else []}
    return resolve_collectors(conf, find)


def is_declared(conf: Conf) -> bool:
    """Whether a backend stands for one of the Mesh."""
    return any(backend.get("type") == DECLARED for backend in conf.get("backends") or ())


def declared_references(policy: Policy) -> Iterator[tuple[str, Conf]]:
    """Every backend of a Mesh that a policy stands for, with its pointer."""
    for pointer, conf in confs_of(policy):
        for index, backend in enumerate(conf.get("backends") or ()):
            if backend.get("type") == DECLARED:
                yield join(pointer, "backends", index), backend["mesh"]


def refuse_logging(resource: Resource, written: Conf) -> Finding | None:
    """Why the Mesh has no such backend; None where it has, and for what is no Mesh."""
    if not isinstance(resource.spec, Mesh):
        return None
    logging = resource.spec.logging
    return _refuse("logging", written["backend"], logging.default_backend, [one.name for one in logging.backends])


def refuse_tracing(resource: Resource, written: Conf) -> Finding | None:
    if not isinstance(resource.spec, Mesh):
        return None
    tracing = resource.spec.tracing
    return _refuse("tracing", written["backend"], tracing.default_backend, [one.name for one in tracing.backends])


def _refuse(what: str, named: str, default: str, names: list[str]) -> Finding | None:
    """As Kuma has it, a policy may stand that waits for its Mesh to have a backend."""
    wanted = named or default
    if not wanted:
        message = f"no backend is named, and the Mesh has no default {what} backend: the policy changes nothing"
        return Finding("", NO_EFFECT, message)
    if wanted in names:
        return None
    guess = did_you_mean(wanted, names) or (f"it has {one_of(names)}" if names else "")
    return Finding("", DANGLING_REF, f"the Mesh has no {what} backend {wanted!r}", guess)


def _log(written: Conf, find: FindResource) -> Conf | None:
    mesh = find(written["mesh"])
    logging = cast(Mesh, mesh.spec).logging if mesh is not None else None
    if logging is None:
        return None
    name = written["mesh"]["backend"] or logging.default_backend
    backend: LoggingBackend | None = next((one for one in logging.backends if one.name == name), None)
    return write_logging(backend.type, backend.format, backend.conf) if backend is not None else None


def _traced(written: Conf, find: FindResource) -> TracingBackend | None:
    mesh = find(written["mesh"])
    tracing = cast(Mesh, mesh.spec).tracing if mesh is not None else None
    if tracing is None:
        return None
    name = written["mesh"]["backend"] or tracing.default_backend
    return next((one for one in tracing.backends if one.name == name), None)
