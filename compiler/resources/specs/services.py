"""Services inside and outside of the mesh, and what gives them host names (kuma-core §2.5 to §2.8, §2.11)."""

from msgspec import field

from compiler.resources.specs.spec import (
    DataSource,
    Extension,
    InlineSource,
    LabelSelector,
    NameReference,
    Spec,
)


class ServiceSelector(Spec, frozen=True):
    """Exactly one of the three."""

    dataplane_labels: LabelSelector | None = None
    dataplane_ref: NameReference | None = None
    dataplane_tags: dict[str, str] | None = None


class ServicePort(Spec, frozen=True):
    port: int
    name: str = ""
    target_port: int | str | None = None
    app_protocol: str = "tcp"

    @property
    def section(self) -> str:
        return self.name or str(self.port)


class MeshService(Spec, frozen=True):
    """Its state and its identities are computed by Kuma and not read."""

    selector: ServiceSelector = ServiceSelector()
    ports: tuple[ServicePort, ...] = ()


class MemberSelector(Spec, frozen=True):
    mesh_service: LabelSelector


class MultiZonePort(Spec, frozen=True):
    port: int
    name: str = ""
    app_protocol: str = "tcp"

    @property
    def section(self) -> str:
        return self.name or str(self.port)


class MeshMultiZoneService(Spec, frozen=True):
    selector: MemberSelector
    ports: tuple[MultiZonePort, ...]


class ExternalMatch(Spec, frozen=True):
    port: int
    type: str = "HostnameGenerator"
    protocol: str = "tcp"


class ExternalEndpoint(Spec, frozen=True):
    """`address` is an IP address or a DNS name; the lowest `priority` comes first."""

    address: str
    port: int
    priority: int = 0


class TlsVersions(Spec, frozen=True):
    """Each TLSAuto, TLS10, TLS11, TLS12 or TLS13."""

    min: str = "TLSAuto"
    max: str = "TLSAuto"


class SubjectName(Spec, frozen=True):
    """`type` is Exact or Prefix."""

    value: str
    type: str = "Exact"


class MixedSource(Spec, frozen=True):
    """Where something is kept, in the form of 2.x (the first three) or of 3.0, which has a `type`."""

    secret: str = ""
    inline: str = ""
    inline_string: str = ""
    type: str = ""
    secret_ref: NameReference | None = None
    insecure_inline: InlineSource | None = None

    @property
    def secret_name(self) -> str:
        """The secret of the mesh that holds it; empty where the content is given."""
        return self.secret_ref.name if self.secret_ref else self.secret


class Verification(Spec, frozen=True):
    """`mode`: Secured, SkipSAN, SkipCA or SkipAll."""

    mode: str = "Secured"
    server_name: str = ""
    subject_alt_names: tuple[SubjectName, ...] = ()
    ca_cert: MixedSource | None = None
    client_cert: MixedSource | None = None
    client_key: MixedSource | None = None


class ExternalTls(Spec, frozen=True):
    enabled: bool = False
    version: TlsVersions = TlsVersions()
    allow_renegotiation: bool = False
    verification: Verification | None = None


class MeshExternalService(Spec, frozen=True):
    match: ExternalMatch
    endpoints: tuple[ExternalEndpoint, ...] = ()
    tls: ExternalTls | None = None
    extension: Extension | None = None


class GeneratorSelector(Spec, frozen=True):
    """Exactly one of the three."""

    mesh_service: LabelSelector | None = None
    mesh_external_service: LabelSelector | None = None
    mesh_multi_zone_service: LabelSelector | None = None


class HostnameGenerator(Spec, frozen=True):
    selector: GeneratorSelector
    template: str
    extension: Extension | None = None


class LegacyTls(Spec, frozen=True):
    enabled: bool = False
    ca_cert: DataSource | None = None
    client_cert: DataSource | None = None
    client_key: DataSource | None = None
    allow_renegotiation: bool = False
    server_name: str = ""
    skip_hostname_verification: bool = False


class ExternalNetworking(Spec, frozen=True):
    """`address` is a host name or an IP address with its port."""

    address: str
    tls: LegacyTls | None = None
    disable_host_dns_entry: bool = field(default=False, name="disableHostDNSEntry")


class ExternalService(Spec, frozen=True):
    """A service outside of the mesh by its tags (Kuma 2.x)."""

    tags: dict[str, str]
    networking: ExternalNetworking


class NameParameter(Spec, frozen=True):
    """A word of the templates, and the tag that it stands for."""

    name: str
    tag_key: str = ""

    @property
    def tag(self) -> str:
        return self.tag_key or self.name


class NameTemplates(Spec, frozen=True):
    host: str = ""
    port: str = ""
    parameters: tuple[NameParameter, ...] = ()


class TagSelector(Spec, frozen=True):
    """A value `*` is any value of the tag."""

    match: dict[str, str] = field(default_factory=dict)


class VirtualOutbound(Spec, frozen=True):
    """Names and ports made of the tags of what offers a service (Kuma 2.x)."""

    selectors: tuple[TagSelector, ...] = ()
    conf: NameTemplates = NameTemplates()
