"""What the agent beside the proxy is given: its configuration, and modules of rego with the one that decides."""

import ipaddress
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from compiler.diagnostics import Severity
from compiler.policies.mesh_opa.conf import Authorization
from compiler.source.parse import Limits, parse_blob

SCHEMA_VERSION: Final = 1
DEFAULT_ADDRESS: Final = "127.0.0.1:9191"
PLUGIN: Final = "envoy_ext_authz_grpc"
"""The part of the agent that Envoy asks."""
DECISION: Final = "implicitkmesh"
"""Kong Mesh's name of the package that decides."""
_LOCAL: Final = "127.0.0.1"
_LARGEST_PORT: Final = 65535
_NOTHING: Final = re.compile(r"(?:\s|#[^\n]*(?:\n|\Z))*")
_STEP: Final = r'(?:\.[A-Za-z_]\w*|\["[^"\\\n]+"\])'
_PACKAGE: Final = re.compile(rf"package[ \t]+(?P<path>[A-Za-z_]\w*{_STEP}*)[ \t]*(?=[;#\r\n]|\Z)")
_HEAD: Final = """\
package implicitkmesh

import rego.v1

default allow := false

permits(decision) if decision == true

permits(decision) if decision.allowed == true

refuses(decision) if decision == true

refuses(decision) if count(decision) > 0

"""


@dataclass(frozen=True, slots=True)
class Settings:
    """The agent's own configuration as a MeshOPA writes it; `mistake` says why it cannot be used."""

    values: Mapping[str, Any]
    mistake: str = ""

    @property
    def plugin(self) -> Mapping[str, Any]:
        """What it says of the part that Envoy asks."""
        found = (self.values.get("plugins") or {}).get(PLUGIN) or {}
        return found if isinstance(found, Mapping) else {}

    @property
    def address(self) -> tuple[str, int]:
        """Where the agent listens for Envoy."""
        return read_address(str(self.plugin.get("addr") or DEFAULT_ADDRESS)) or (_LOCAL, 9191)


def read_settings(text: str) -> Settings:
    """YAML or JSON."""
    parsed = parse_blob(text.encode(), Limits())
    mistake = next((one.message for one in parsed.diagnostics if one.level is Severity.ERROR), "")
    if not mistake and len(parsed.documents) > 1:
        mistake = "there is more than one document"
    values = parsed.documents[0][1] if parsed.documents and not mistake else {}
    plugins = values.get("plugins")
    if not mistake and plugins is not None and not isinstance(plugins, Mapping):
        mistake = "plugins is no mapping"
    return Settings({} if mistake else values, mistake)


def read_address(written: str) -> tuple[str, int] | None:
    """`HOST:PORT` with an IP address or localhost, or `:PORT` for every address; None of anything else."""
    host, _, port = written.removeprefix("grpc://").rpartition(":")
    if not port.isascii() or not port.isdigit() or len(port) > 5 or not 0 < int(port) <= _LARGEST_PORT:
        return None
    if host in ("", "localhost", "0.0.0.0"):  # noqa: S104  # who listens everywhere is asked on loopback
        return _LOCAL, int(port)
    try:
        return str(ipaddress.ip_address(host.strip("[]"))), int(port)
    except ValueError:
        return None


def package_of(module: str) -> str | None:
    """The package that a module of rego says it is, None where it says none before anything else."""
    start = _NOTHING.match(module)
    found = _PACKAGE.match(module, start.end() if start is not None else 0)
    return found["path"] if found is not None else None


def render_document(conf: Authorization) -> str:
    """One line of JSON with sorted keys: the contract is docs/dataplane-run.md."""
    settings = read_settings(conf.agent_config.text if conf.agent_config is not None else "")
    texts = [module.rego.text for module in conf.append_policies]
    voting = [package_of(module.rego.text) for module in conf.append_policies if not module.ignore_decision]
    packages = tuple(dict.fromkeys(package for package in voting if package is not None))
    document = {
        "schemaVersion": SCHEMA_VERSION,
        "config": _config(settings, decides=bool(packages)),
        "modules": list(_modules(texts, packages)),
    }
    return json.dumps(document, sort_keys=True, separators=(",", ":"))


def _config(settings: Settings, *, decides: bool) -> Mapping[str, Any]:
    """Without a module that decides, what the configuration itself names does."""
    plugin = {"addr": DEFAULT_ADDRESS, **settings.plugin}
    if decides:
        plugin["path"] = f"{DECISION}/allow"
    return {**settings.values, "plugins": {**(settings.values.get("plugins") or {}), PLUGIN: plugin}}


def _modules(texts: Sequence[str], packages: Iterable[str]) -> Iterator[Mapping[str, str]]:
    for number, text in enumerate(texts):
        yield {"name": f"policy-{number}.rego", "rego": text}
    if packages:
        yield {"name": "decision.rego", "rego": decision(packages)}


def decision(packages: Iterable[str]) -> str:
    """Every package must allow and none may deny; one that is silent does not allow.

    A decision that is an object allows by its `allowed`, and a set of reasons denies where there is any.
    """
    paths = tuple(packages)
    denied = "".join(f"denied if refuses(data.{path}.deny)\n\n" for path in paths)
    permitted = "".join(f"\tpermits(data.{path}.allow)\n" for path in paths)
    return f"{_HEAD}{denied}allow if {{\n\tnot denied\n{permitted}}}\n"
