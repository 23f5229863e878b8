"""Every snapshot of the example and of the tests' own shop, before judges who did not make it."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import any_pb2

from compiler.dataplane.bootstrap import AdsProtocol
from compiler.envoy.packing import unpack
from compiler.envoy.resources import EnvoyResources, ResourceType
from compiler.pipeline import compile_tree
from compiler.snapshot.inline import inline, inline_all, validate_with_envoy
from compiler.snapshot.snapshot import Generation
from compiler.snapshot.typed import LACKING, UndefinedTypeError, decode, roundtrips
from compiler.source.tree import read_directory
from tests.e2e.conftest import require_envoy, require_peace
from tests.e2e.places import claim_network
from tests.e2e.processes import ROOT, Envoy, Serve
from tests.e2e.repository import Repository
from tests.e2e.shop import base_files, create_authority, make_places, permissions, permissive, to_api, weights

EXAMPLE = ROOT / "examples" / "repo"
EXAMPLE_NETWORK = "127.80"
CONNECTIONS = (("1.37", AdsProtocol.DELTA), ("1.40", AdsProtocol.DELTA), ("1.40", AdsProtocol.STATE_OF_THE_WORLD))


def example_files(network: str = EXAMPLE_NETWORK) -> dict[str, str]:
    """The example on other loopback addresses, so that it can run beside a demo."""
    files = {str(file.relative_to(EXAMPLE)): file.read_text() for file in sorted(EXAMPLE.rglob("*.yaml"))}
    return {name: text.replace(f"{EXAMPLE_NETWORK}.", f"{network}.") for name, text in files.items()}


def shop_files(network: str = "127.99.1") -> dict[str, str]:
    """With a policy of each kind, and with inbounds that take plaintext as well."""
    policies = {
        "permissions.yaml": permissions("client", "guest"),
        "routes.yaml": weights(80, 20),
        "timeouts.yaml": to_api("MeshTimeout", "timeouts", "default: {http: {requestTimeout: 5s}}"),
        "retries.yaml": to_api("MeshRetry", "retries", "default: {http: {numRetries: 3, retryOn: [5xx]}}"),
        "breakers.yaml": to_api("MeshCircuitBreaker", "breakers", "default: {connectionLimits: {maxRequests: 99}}"),
    }
    return {**base_files(make_places(network)), **policies, "mesh.yaml": permissive()}


REPOSITORIES = {"example": example_files(), "shop": shop_files()}
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # the decoder's own, by the hundred
each_repository = pytest.mark.parametrize("name", sorted(REPOSITORIES))


WARNED_OF = {"example": [], "shop": ["open-in-plaintext"]}
"""The shop is PERMISSIVE, so that its Envoys are shown both ways of being called."""


def compile_repository(name: str, folder: Path) -> Generation:
    for path, text in REPOSITORIES[name].items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    compiled = compile_tree(read_directory(folder).value)
    assert [each.code.word for each in compiled.diagnostics] == WARNED_OF[name]
    assert compiled.value.generation is not None
    return compiled.value.generation


def messages(generation: Generation) -> dict[str, EnvoyResources]:
    """What was rendered, read back: the judges see what is served, not what it was made from."""
    return {
        node.replace(".", "-"): EnvoyResources(
            {
                kind: {name: unpack(any_pb2.Any.FromString(one.body)) for name, one in held.items()}
                for kind, held in snapshot.resources.items()
            },
            tuple(secret.name for secret in snapshot.secrets),
        )
        for node, snapshot in generation.snapshots.items()
    }


@each_repository
def test_envoys_validate_mode_accepts_every_snapshot(name: str, envoy_binary: Path, tmp_path: Path) -> None:
    resources = messages(compile_repository(name, tmp_path))

    assert len(resources) >= 5
    assert validate_with_envoy(inline_all(resources), envoy_binary) is None


@each_repository
def test_envoys_validate_mode_refuses_a_snapshot_that_is_spoilt(name: str, envoy_binary: Path, tmp_path: Path) -> None:
    """What the test before relies on."""
    resources = messages(compile_repository(name, tmp_path))
    spoilt: Any = next(one for one in resources.values() if one.messages[ResourceType.ROUTE])
    route = next(iter(spoilt.messages[ResourceType.ROUTE].values()))
    route.virtual_hosts[0].domains.append("*")

    assert "Only a single wildcard domain is permitted" in (validate_with_envoy(inline(spoilt), envoy_binary) or "")


@each_repository
def test_an_independent_decoder_reads_every_resource_and_says_the_same(name: str, tmp_path: Path) -> None:
    generation = compile_repository(name, tmp_path)
    distinct = {
        one.body: one
        for snapshot in generation.snapshots.values()
        for held in snapshot.resources.values()
        for one in held.values()
    }

    assert len(distinct) > 20
    assert [one.name for one in distinct.values() if not roundtrips(one)] == []


@each_repository
def test_no_snapshot_holds_a_type_that_the_decoder_lacks(name: str, tmp_path: Path) -> None:
    used = {
        packed.type_url.rpartition("/")[2]
        for resources in messages(compile_repository(name, tmp_path)).values()
        for held in resources.messages.values()
        for message in held.values()
        for packed in _packed(message)
    }

    assert "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager" in used
    assert used & LACKING == set()
    assert [kind for kind in sorted(used) if not _is_defined(kind)] == []


def test_what_the_decoder_is_said_to_lack_it_does_lack() -> None:
    assert [kind for kind in sorted(LACKING) if _is_defined(kind)] == []


def _is_defined(kind: str) -> bool:
    try:
        decode(f"type.googleapis.com/{kind}", b"")
    except UndefinedTypeError:
        return False
    return True


def _packed(message: Any) -> Iterator[any_pb2.Any]:
    """Every Any inside, through every Any."""
    for field, value in message.ListFields():
        if field.message_type is None:
            continue
        if field.message_type.GetOptions().map_entry:
            inner = [one for one in value.values() if hasattr(one, "ListFields")]
        else:
            inner = list(value) if field.is_repeated else [value]
        for one in inner:
            if isinstance(one, any_pb2.Any):
                yield one
                yield from _packed(unpack(one))
            else:
                yield from _packed(one)


@pytest.mark.xdist_group("snapshots")
@each_repository
def test_envoys_of_both_versions_accept_every_snapshot_over_ads(name: str, tmp_path: Path) -> None:
    """By delta and, the newer one, by state of the world; one reconciler serves all of them, one after the other."""
    with claim_network() as network, serving(_files_at(name, network), tmp_path) as serve:
        for number, (version, protocol) in enumerate(CONNECTIONS):
            binary = require_envoy(version)
            with running(serve, binary, protocol, tmp_path / str(number)) as envoys:
                status = serve.accepted(serve_head(serve), len(envoys))
                assert {proxy["version"].rpartition(".")[0] for proxy in status["proxies"]} == {version}
                expected = {"delta"} if protocol is AdsProtocol.DELTA else {"sotw"}
                assert {proxy["protocol"] for proxy in status["proxies"]} == expected
                for envoy in envoys:
                    envoy.wait_live()
                    assert envoy.stats(*_REFUSED) == dict.fromkeys(_REFUSED, 0)
                    assert envoy.listeners()
                    assert not [one for one in envoy.listeners().values() if "error_state" in one]
                require_peace(serve)
                if protocol is AdsProtocol.STATE_OF_THE_WORLD:
                    require_nothing_new(serve, len(envoys))
            serve.until(lambda found: not found["proxies"])


def require_nothing_new(serve: Serve, envoys: int) -> None:
    """A server that starts again has no answer for a type that did not change."""
    serve.stop()
    serve.start()
    serve.until(lambda found: sum(proxy["fully_acked"] for proxy in found["proxies"]) == envoys)
    assert serve.pushes() == {}


_REFUSED = (
    "cluster_manager.cds.update_rejected",
    "listener_manager.lds.update_rejected",
    "listener_manager.listener_create_failure",
)


def _files_at(name: str, network: str) -> dict[str, str]:
    """The example needs 127.x, and all of it below."""
    if name == "shop":
        return shop_files(network)
    return example_files(network.rpartition(".")[0])


@contextmanager
def serving(files: Mapping[str, str], folder: Path) -> Iterator[Serve]:
    repository = Repository.create(folder / "repository", files)
    serve = Serve(repository.path, folder, create_authority("shop", folder))
    try:
        serve.start()
        yield serve
    finally:
        serve.kill()


@contextmanager
def running(serve: Serve, binary: Path, protocol: AdsProtocol, folder: Path) -> Iterator[list[Envoy]]:
    """An Envoy for each proxy of the repository."""
    compiled = compile_tree(read_directory(serve.repository).value).value.generation
    assert compiled is not None
    with ExitStack() as stack:
        envoys = []
        for node in sorted(compiled.snapshots):
            mesh, _, name = node.partition(".")
            envoy = Envoy(binary, folder / name, mesh, name, serve.xds, protocol)
            stack.callback(envoy.stop)
            envoy.start()
            envoys.append(envoy)
        yield envoys


def serve_head(serve: Serve) -> str:
    return Repository(serve.repository).head()
