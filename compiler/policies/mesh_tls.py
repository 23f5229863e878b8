"""MeshTLS: whether callers must be proxies of the mesh, and which TLS they speak (kuma-policies §2.14)."""

from collections.abc import Iterator
from typing import Final

from msgspec import field
from msgspec.structs import replace

from compiler.envoy.policy import Policy
from compiler.mesh.calls import Tls
from compiler.mesh.policy import Inbounds, PolicyKind, Reached
from compiler.resources.findings import BAD_TARGET, BAD_VALUE, NO_EFFECT, Finding, join
from compiler.resources.model import Policy as PolicySpec
from compiler.resources.model import Spec
from compiler.resources.target_ref import TargetMatrix

_VERSIONS: Final = ("TLS10", "TLS11", "TLS12", "TLS13")
_UNSPOKEN: Final = frozenset({"TLS10", "TLS11"})
_AUTO: Final = "TLSAuto"


class Versions(Spec, frozen=True):
    min: str = _AUTO
    max: str = _AUTO


class MeshTls(Spec, frozen=True):
    mode: str = ""
    tls_version: Versions = Versions()
    tls_ciphers: tuple[str, ...] = field(default=())


def shape(conf: MeshTls, tls: Tls) -> Tls:
    """What the policy leaves open is as the mesh's authority has it."""
    return replace(
        tls,
        permissive=conf.mode == "Permissive" if conf.mode else tls.permissive,
        oldest=conf.tls_version.min if conf.tls_version.min != _AUTO else "",
        newest=conf.tls_version.max if conf.tls_version.max != _AUTO else "",
        ciphers=conf.tls_ciphers,
    )


def check(policy: PolicySpec) -> Iterator[Finding]:
    for part in ("from_", "rules"):
        for index, item in enumerate(getattr(policy, part)):
            conf, pointer = item.default or {}, join("", part.rstrip("_"), index, "default")
            if not conf:
                yield Finding(pointer, NO_EFFECT, "an empty default changes nothing", "give it a mode", on_key=True)
            for name in ("tlsVersion", "tlsCiphers"):
                if name in conf and policy.target_ref.kind != "Mesh":
                    message = f"{name} must be the same for callers and called: it is for all of a mesh"
                    yield Finding(join(pointer, name), BAD_TARGET, message, "set it for kind Mesh", on_key=True)
            versions = conf.get("tlsVersion") or {}
            oldest, newest = versions.get("min", _AUTO), versions.get("max", _AUTO)
            if _AUTO not in (oldest, newest) and _VERSIONS.index(oldest) > _VERSIONS.index(newest):
                yield Finding(join(pointer, "tlsVersion", "min"), BAD_VALUE, "min is newer than max", "swap them")
            elif newest in _UNSPOKEN:
                message = "Envoy has no cipher suite of TLS 1.1 or before: nobody could call anybody"
                yield Finding(join(pointer, "tlsVersion", "max"), BAD_VALUE, message, "TLS12, TLS13 or TLSAuto")
            if conf.get("tlsCiphers") and oldest == "TLS13":
                message = "TLS 1.3 has cipher suites of its own, which cannot be chosen"
                yield Finding(join(pointer, "tlsCiphers"), NO_EFFECT, message, on_key=True)


def idle(_: PolicySpec, reached: Reached) -> str:
    """A mode is a way to ask for certificates that nobody has."""
    return "" if reached.secured else "no proxy that it selects has a certificate: all of its calls are plaintext"


POLICY: Final = Policy(
    PolicyKind(
        type="MeshTLS",
        conf=MeshTls,
        targets=TargetMatrix(
            top=frozenset({"Mesh", "MeshSubset", "Dataplane"}),
            from_=frozenset({"Mesh"}),
            rules=True,
        ),
        inbounds=Inbounds.WHOLE,
        shape_tls=shape,
        check=check,
        idle=idle,
    )
)
