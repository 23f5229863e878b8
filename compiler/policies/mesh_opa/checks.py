"""What is wrong in a MeshOPA beyond what its schema can say."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from compiler.diagnostics import Code, Severity
from compiler.envoy.refusals import check_status
from compiler.policies.mesh_opa.agent import DECISION, PLUGIN, Settings, package_of, read_address, read_settings
from compiler.policies.mesh_opa.conf import decoded
from compiler.resources.findings import (
    BAD_VALUE,
    EXCLUSIVE_FIELDS,
    MISSING_FIELD,
    NO_EFFECT,
    NOT_SUPPORTED_YET,
    SECRET_IN_GIT,
    Finding,
    join,
)
from compiler.resources.model import Conf, Policy

OUTSIDE_GIT: Final = Code(
    "outside-git",
    Severity.WARNING,
    "something that decides is not in the repository",
    "What is fetched while proxies run can change without a commit: no review sees it, and no plan shows it.",
)

_KINDS: Final = {"InsecureInline": "insecureInline", "Secret": "secretRef", "File": "file", "EnvVar": "envVar"}
_LATER: Final = {
    "secret": "a secret's content reaches Envoy alone, and no agent",
    "secretRef": "a secret's content reaches Envoy alone, and no agent",
    "file": "a commit does not know the files of the place where the agent runs",
    "envVar": "a commit does not know the environment of the agent",
}
_KEPT: Final = ("inlineString", "inline", "insecureInline", *_LATER)
_REMOTE: Final = ("bundles", "discovery")


def check(policy: Policy) -> Iterator[Finding]:
    conf = policy.default or {}
    modules = conf.get("appendPolicies") or ()
    yield from _check_agent(conf.get("agentConfig"), decides=any(not one.get("ignoreDecision") for one in modules))
    for index, module in enumerate(modules):
        yield from _check_module(module, join("/default/appendPolicies", index, "rego"))
    status = (conf.get("authConfig") or {}).get("statusOnError")
    if status is not None:
        yield from check_status(status, "/default/authConfig/statusOnError")


def _check_module(module: Conf, pointer: str) -> Iterator[Finding]:
    problems = list(check_source(module["rego"], pointer))
    yield from problems
    if not problems:
        at, text = _text(module["rego"], pointer)
        package = package_of(text)
        if package is None:
            yield Finding(at, BAD_VALUE, "a module begins with its package", "such as `package shop`")
        elif package.partition(".")[0] == DECISION:
            yield Finding(at, BAD_VALUE, f"the package {DECISION} is made of all modules", "call it something else")


def _check_agent(source: Conf | None, *, decides: bool) -> Iterator[Finding]:
    if source is None:
        return
    problems = list(check_source(source, "/default/agentConfig"))
    yield from problems
    if problems:
        return
    at, text = _text(source, "/default/agentConfig")
    settings = read_settings(text)
    if settings.mistake:
        yield Finding(at, BAD_VALUE, f"the agent could not read this: {settings.mistake}")
    yield from (Finding(at, *one) for one in _check_settings(settings, decides=decides))


def find_leaks(conf: object) -> Iterator[Finding]:
    """Secrets in what the agent is configured by, of a document that is refused: nothing else in it need be right."""
    source = conf.get("agentConfig") if isinstance(conf, Mapping) else None
    for way in ("insecureInline", "inlineString", "inline"):
        held = source.get(way) if isinstance(source, Mapping) else None
        written = held.get("value") if isinstance(held, Mapping) else held
        if isinstance(written, str):
            settings = read_settings(written if way != "inline" else decoded(written) or "")
            at = join("/default/agentConfig", way)
            yield from (
                Finding(at, SECRET_IN_GIT, f"{name} does not belong in Git") for name in _secrets(settings.values)
            )


def _check_settings(settings: Settings, *, decides: bool) -> Iterator[tuple[Code, str, str]]:
    for name in _REMOTE:
        if settings.values.get(name):
            yield OUTSIDE_GIT, f"{name} are not part of a commit", "write modules into appendPolicies instead"
    for name in _secrets(settings.values):
        hint = "name a variable of the agent's environment instead: ${TOKEN}"
        yield SECRET_IN_GIT, f"{name} does not belong in Git", hint
    written = settings.plugin.get("addr")
    if written is not None and read_address(str(written)) is None:
        yield BAD_VALUE, f"{PLUGIN}.addr is no IP address with a port", "such as 127.0.0.1:9191"
    if decides and "path" in settings.plugin:
        message = f"{PLUGIN}.path has no effect: appendPolicies decide"
        yield NO_EFFECT, message, "take it out, or give every module ignoreDecision: true"


def _secrets(values: Mapping[str, Any]) -> Iterator[str]:
    """Fields that hold a secret itself, rather than where it is."""
    services = values.get("services") or {}
    named = services.items() if isinstance(services, Mapping) else ((str(n), one) for n, one in enumerate(services))
    for name, service in named:
        for way, field in (("bearer", "token"), ("oauth2", "client_secret"), ("client_tls", "private_key_passphrase")):
            if _is_secret(_under(service, "credentials", way, field)):
                yield f"services.{name}.credentials.{way}.{field}"
    keys = values.get("keys")
    for name, key in keys.items() if isinstance(keys, Mapping) else ():
        if _is_secret(_under(key, "private_key")):
            yield f"keys.{name}.private_key"


def _under(value: Any, *steps: str) -> Any:
    for step in steps:
        value = value.get(step) if isinstance(value, Mapping) else None
    return value


def _is_secret(value: Any) -> bool:
    return isinstance(value, str) and bool(value) and not (value.startswith("${") and value.endswith("}"))


def check_source(source: Conf, pointer: str) -> Iterator[Finding]:
    """Exactly one way of keeping a text, and one that an agent can be given."""
    kept = [name for name in _KEPT if name in source]
    kind = source.get("type")
    wanted = _KINDS[kind] if kind is not None else None
    if wanted is not None and wanted not in source:
        yield Finding(pointer, MISSING_FIELD, f"a source of type {kind} needs {wanted}")
    elif not kept:
        yield Finding(pointer, MISSING_FIELD, "the text is missing", "give it as inlineString")
    for name in kept:
        if name != (wanted or kept[0]):
            yield Finding(join(pointer, name), EXCLUSIVE_FIELDS, f"{wanted or kept[0]} says it already", on_key=True)
        elif name in _LATER:
            hint = "write the text itself, as inlineString"
            yield Finding(join(pointer, name), NOT_SUPPORTED_YET, _LATER[name], hint, on_key=True)
    if "insecureInline" in source and kind is None:
        yield Finding(pointer, MISSING_FIELD, "insecureInline goes with type: InsecureInline")
    if "inline" in source and decoded(source["inline"]) is None:
        yield Finding(join(pointer, "inline"), BAD_VALUE, "this is no text in base64", "inlineString takes it as it is")


def _text(source: Conf, pointer: str) -> tuple[str, str]:
    """Of a source without a mistake: where its text stands, and the text."""
    if "insecureInline" in source:
        return join(pointer, "insecureInline", "value"), source["insecureInline"]["value"]
    if "inlineString" in source:
        return join(pointer, "inlineString"), source["inlineString"]
    return join(pointer, "inline"), decoded(source["inline"]) or ""
