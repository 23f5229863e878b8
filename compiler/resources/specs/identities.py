"""Identities, who certifies them, whom to trust, and secrets by name (kuma-core §2.3, §2.9, §2.10)."""

from typing import Any

from msgspec import field

from compiler.resources.specs.spec import LabelSelector, SecureDataSource, Spec
from compiler.resources.values import Duration


class IdentitySelector(Spec, frozen=True):
    dataplane: LabelSelector | None = None


class SpiffeId(Spec, frozen=True):
    """Both are templates; a default of its environment stands where one is empty."""

    trust_domain: str = ""
    path: str = ""


class CertificateParameters(Spec, frozen=True):
    expiry: Duration | None = None


class Autogenerate(Spec, frozen=True):
    enabled: bool = False


class CertificateAuthority(Spec, frozen=True):
    certificate: SecureDataSource
    private_key: SecureDataSource


class BundledProvider(Spec, frozen=True):
    """`mesh_trust_creation` is Enabled or Disabled."""

    mesh_trust_creation: str = "Enabled"
    insecure_allow_self_signed: bool = False
    certificate_parameters: CertificateParameters = CertificateParameters()
    autogenerate: Autogenerate = Autogenerate()
    ca: CertificateAuthority | None = None


class SpireAgent(Spec, frozen=True):
    timeout: Duration | None = None


class SpireProvider(Spec, frozen=True):
    agent: SpireAgent = SpireAgent()


class ProviderExtension(Spec, frozen=True):
    name: str
    config: Any = None


class IdentityProvider(Spec, frozen=True):
    """`type` is Bundled, Spire or Extension."""

    type: str
    bundled: BundledProvider | None = None
    spire: SpireProvider | None = None
    extension: ProviderExtension | None = None


class MeshIdentity(Spec, frozen=True):
    """No selector selects nobody; no provider certifies nobody."""

    selector: IdentitySelector | None = None
    spiffe_id: SpiffeId = field(default=SpiffeId(), name="spiffeID")
    provider: IdentityProvider | None = None


class PemBundle(Spec, frozen=True):
    value: str


class CertificateBundle(Spec, frozen=True):
    """`type` is Pem."""

    type: str
    pem: PemBundle


class MeshTrust(Spec, frozen=True):
    trust_domain: str
    ca_bundles: tuple[CertificateBundle, ...]


class Workload(Spec, frozen=True):
    """Nothing but its name, which the label `kuma.io/workload` of Dataplanes refers to."""


class Secret(Spec, frozen=True):
    """A secret by reference only: `data` in a repository is refused."""


class GlobalSecret(Spec, frozen=True):
    """The same of no mesh."""
