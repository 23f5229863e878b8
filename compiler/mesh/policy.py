"""What the mesh knows of a kind of policy: which resources it may name, how its confs merge, what type they have."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from compiler.mesh.calls import Tls
from compiler.mesh.destination import Destination, Spread
from compiler.mesh.http_route import Backend, HttpRoute
from compiler.mesh.merge import RouteRule
from compiler.mesh.order import Item, Origin
from compiler.mesh.proxy import Transparent
from compiler.resources.findings import Finding
from compiler.resources.model import BackendReference, Conf, Dataplane, Policy, Resource, Spec
from compiler.resources.target_ref import TargetMatrix
from compiler.resources.values import decode


class Inbounds(Enum):
    """How the incoming part of a policy (`rules`, or `from` of 2.x) reaches an inbound."""

    NONE = "none"
    """The policy has no incoming part."""
    WHOLE = "whole"
    """One merged conf for all callers."""
    BY_SOURCE = "by source"
    """Rules may name callers by SPIFFE id; the most specific that contains a caller has all that are about it."""
    EACH = "each"
    """Rules may name callers, and each of them holds by itself: nothing that another says is lost."""
    PERMISSION = "permission"
    """Nothing is merged: the entries decide in order (kuma-core §4.8)."""


def reference_of(conf: Conf) -> BackendReference:
    """A `backendRef` as a rule writes it, without its weight."""
    return decode(BackendReference, {name: value for name, value in conf.items() if name in _REFERENCE_FIELDS})


_REFERENCE_FIELDS: Final = frozenset(BackendReference.__struct_fields__)


def appended(name: str) -> str:
    """`appendHttp` for `http` (kuma-core §4.7)."""
    return f"append{name[:1].upper()}{name[1:]}"


MERGED: Final = frozenset({Inbounds.WHOLE, Inbounds.BY_SOURCE, Inbounds.EACH})
"""Ways that give an inbound confs."""

FindResource = Callable[[Conf], Resource | None]
"""The resource that a reference means."""
FindBackend = Callable[[BackendReference, Origin], Destination | None]
RouteShape = Callable[[Sequence[RouteRule], Destination | None, FindBackend], Iterable[HttpRoute]]
"""Without a destination, what no rule takes goes nowhere."""
BackendShape = Callable[[Sequence[RouteRule], FindBackend], tuple[Backend, ...]]


NO_REQUESTS: Final = "nothing that it selects takes requests: no protocol is http, http2 or grpc"
"""Why a policy about requests does nothing."""


@dataclass(frozen=True, slots=True)
class Reached:
    """What a policy selects of a proxy, and whether that one takes mutual TLS.

    `selected` are the protocols of the inbounds that it selects, `spoken` those of all; of a builtin gateway both are
    those of its listeners.
    """

    proxy: Dataplane
    selected: frozenset[str]
    spoken: frozenset[str]
    secured: bool
    sends: Callable[[], bool]
    """Whether it may call something by requests: asked by those alone who want to know."""


@dataclass(frozen=True, slots=True)
class Need:
    """Something that a conf asks for and that does nothing without something else, whoever says that.

    `field` is the way to it in a conf; `is_met` is None of a conf that does not ask for it.
    """

    field: tuple[str, ...]
    is_met: Callable[[Any], bool | None]
    message: str
    hint: str


class Matter(Enum):
    """What of calls to a destination one kind decides alone, so that what others say of it does nothing there."""

    WAY = "way"
    """Where they go."""
    PANIC = "panic"
    """What becomes of them where too few endpoints are well."""
    PANIC_THRESHOLD = "panic threshold"
    """How few that is."""


@dataclass(frozen=True, slots=True)
class Concession:
    """A field that does nothing where another kind decides the matter; all of an item where it is empty.

    `{}` in the message stands for the policy that decides.
    """

    field: tuple[str, ...]
    matter: Matter
    message: str
    hint: str


Part = tuple[str | int, ...]
"""The way to a part of a conf."""


@dataclass(frozen=True, slots=True)
class Offer:
    """What a kind with one conf for all of a proxy offers to proxies of the mesh alone."""

    service: str
    """What it goes by among services whose proxies are called by address."""
    ports: Callable[[Any], Iterable[int]]
    """Where by a conf a proxy with a certificate of the mesh asks who comes for one."""
    asks: Callable[[Any], bool]
    """Whether by a conf who comes is asked for a certificate, if the proxy itself has one."""
    needs: Callable[[Any], bool]
    """Whether nobody is answered where the proxy has none."""
    written: Callable[[Policy], Iterable[str]]
    """Where a policy says so."""
    own: Callable[[Dataplane], str]
    """Where the proxy's own document says so; empty where it does not."""


@dataclass(frozen=True, slots=True)
class PolicyKind:
    """One kind of policy, without Envoy."""

    conf: type[Spec]
    type: str
    targets: TargetMatrix
    inbounds: Inbounds = Inbounds.NONE
    at_gateways: bool = False
    """Whether what it says of everyone who calls holds for strangers who call a builtin gateway."""
    outbound: bool = False
    whole: bool = False
    """Whether the policy has one `default` for all of a proxy."""
    beside: bool = False
    """Of such a policy: whether no part of the proxy has its conf, since all that it does is done beside them."""
    always: bool = False
    """Whether it does something where no policy of its kind speaks: its conf then has the defaults."""
    defaults: Spec | None = None
    """Of such a kind: what its conf stands for at a sidecar where nothing is said, if fields say so by being absent."""
    names_owner: bool = False
    """Whether what it does names the proxy: it is then told whose conf it is, by names that may be holes.

    Clusters, and routes to other services, are not told.
    """
    growing: tuple[str, ...] = ()
    """Lists of a conf that grow where confs merge, instead of being replaced."""
    routes: bool = False
    """Whether `to` may name a MeshHTTPRoute: the conf then holds for that route alone."""
    shape_tls: Callable[[Any, Tls], Tls] | None = None
    """For the kind that says how callers of an inbound must speak: its conf, and what the mesh itself says."""
    shape_transparent: Callable[[Any, Transparent], Transparent] | None = None
    """For the kind that says which calls to the outside are let through: its conf, and what the mesh itself says."""
    shape_spread: Callable[[Any, Mapping[str, str]], Spread] | None = None
    """For the kind that spreads calls over zones: its conf, and the tags and labels of the caller."""
    patches: bool = False
    """Whether it changes what the others made: the tags of the proxy's inbounds are then known beside them."""
    collect: Callable[[Sequence[Item]], Spec] | None = None
    """For a kind with one `default` whose entries keep their places: its conf of all items, instead of a merged one."""
    addresses: Callable[[Policy], Iterable[str]] = lambda _: ()
    """Addresses of proxies that decide what a policy of a kind that patches does to them."""
    label_keys: Callable[[Policy], Iterable[str]] = lambda _: ()
    """Tags and labels of a proxy that decide what the policy does to it, beside those that it selects by."""
    shape_routes: RouteShape | None = None
    """For the kind whose `to` says where requests go rather than how: its rules, already merged, as routes in order."""
    shape_backends: BackendShape | None = None
    """The same for the kind that says where connections go."""
    check: Callable[[Policy], Iterable[Finding]] = lambda _: ()
    """What is wrong in a spec beyond what its schema can say."""
    idle: Callable[[Policy, Reached], str] | None = None
    """Why a policy does nothing where it selects this; empty where it does something."""
    misses: Callable[[Any, str], bool] | None = None
    """Whether a conf that wants something done has nothing for destinations that speak this protocol."""
    mute: Callable[[Conf, str], str] = lambda _, __: ""
    """What to add to a written conf that says nothing of calls by this protocol; empty where it says something."""
    unheard: Callable[[Conf, str], Mapping[Part, str]] = lambda _, __: {}
    """Parts of a written conf that say nothing of calls by this protocol, while the rest may, and why."""
    matters: frozenset[Matter] = frozenset()
    """What its `to` may decide alone."""
    decides: Callable[[Any], Collection[Matter]] = lambda _: ()
    """Which of these a conf does decide."""
    concessions: tuple[Concession, ...] = ()
    """What does nothing where another kind decides."""
    needs: tuple[Need, ...] = ()
    """What is judged by the confs that policies come to together."""
    resolve: Callable[[Conf, FindResource], Conf] | None = None
    """A merged conf with what its references mean in their place, so that an edit of that reaches whom it concerns."""
    references: Callable[[Policy], Iterable[tuple[str, Conf]]] = lambda _: ()
    """What a spec refers to besides targets, with pointers; one that means nothing is warned of."""
    refuses: Callable[[Resource, Conf], Finding | None] = lambda _, __: None
    """What is wrong with a reference to a resource that is there; the pointer is whoever asks'."""
    specialise: Callable[[Any, Dataplane], Any] | None = None
    """Of a kind with one conf for all of a proxy: with what its own document says of it."""
    offer: Offer | None = None
    """For a kind that offers something of a proxy to others of its mesh: its owner then knows whom to admit."""

    @property
    def from_tags(self) -> bool:
        """Whether its `from` tells callers apart by their tags (Kuma 2)."""
        return self.inbounds is Inbounds.BY_SOURCE and bool(self.targets.from_ - {"Mesh"})

    @property
    def passes_over_from(self) -> bool:
        """Whether `from` says nothing where some policy of the kind has `rules`."""
        return self.inbounds is Inbounds.PERMISSION or self.from_tags

    def prepare(self, conf: Conf) -> Conf:
        """A written conf as it is merged: lists that grow get the names by which merging knows them."""
        return {appended(name) if name in self.growing else name: value for name, value in conf.items()}

    def restore(self, conf: Conf) -> Conf:
        """A merged conf as it is written."""
        names = {appended(name): name for name in self.growing}
        return {names.get(name, name): value for name, value in conf.items()}
