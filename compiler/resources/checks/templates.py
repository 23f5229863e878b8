"""Templates as Kuma writes names with: parts in double braces, a word or a function of a text in each."""

import re
from collections.abc import Iterable, Iterator
from typing import Final

from compiler.resources.findings import BAD_TEMPLATE, Finding
from compiler.resources.suggest import did_you_mean, one_of

_PART: Final = re.compile(r"\{\{([^{}]*)\}\}")
_WORD: Final = re.compile(r'-?\s*(?:\.(?P<word>\w+)|(?P<function>\w+)\s+"[^"]*")(?P<more>[^{}]*)')
_MORE: Final = re.compile(r'(?:\s*\|\s*replace\s+"[^"]*"\s+"[^"]*")*\s*-?')
_SERVICE_WORDS: Final = ("Name", "DisplayName", "Namespace", "Mesh", "Zone")
_DOMAIN_WORDS: Final = ("Mesh", "Zone")
"""Of a MeshIdentity itself: all proxies of a zone have one domain."""
_IDENTITY_WORDS: Final = ("Mesh", "Zone", "Namespace", "ServiceAccount", "Workload")
_HOSTNAME: Final = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_TRUST_DOMAIN: Final = re.compile(r"[-a-z0-9._]+")
_PATH: Final = re.compile(r"(/[-a-zA-Z0-9._]+)+")


def check_hostname(template: str, pointer: str) -> Iterator[Finding]:
    """How a HostnameGenerator makes names (kuma-core §2.8)."""
    yield from _check(template, pointer, _SERVICE_WORDS, _HOSTNAME, "a host name")


def check_trust_domain(template: str, pointer: str) -> Iterator[Finding]:
    """How a MeshIdentity makes the domain of a SPIFFE ID (kuma-core §2.9)."""
    yield from _check(template, pointer, _DOMAIN_WORDS, _TRUST_DOMAIN, "a trust domain")


def check_spiffe_path(template: str, pointer: str) -> Iterator[Finding]:
    """How a MeshIdentity makes the path of a SPIFFE ID, which begins with a slash and ends without."""
    yield from _check(template, pointer, _IDENTITY_WORDS, _PATH, "the path of a SPIFFE ID")


def check_common_name(template: str, pointer: str) -> Iterator[Finding]:
    """How Kong Mesh makes the common name of a certificate: from tags."""
    faults = list(_find_faults(template, (), "tag"))
    yield from (Finding(pointer, BAD_TEMPLATE, message, hint) for message, hint in faults)


def _check(template: str, pointer: str, words: Iterable[str], right: re.Pattern[str], what: str) -> Iterator[Finding]:
    faults = list(_find_faults(template, words, "label"))
    for message, hint in faults:
        yield Finding(pointer, BAD_TEMPLATE, message, hint)
    if not faults and not right.fullmatch(_PART.sub("x", template)):
        message = f"what the template gives is never {what}"
        yield Finding(pointer, BAD_TEMPLATE, message, "look at what stands between the braces' parts")


def _find_faults(template: str, words: Iterable[str], function: str) -> Iterator[tuple[str, str | None]]:
    """Each with what helps."""
    known = [*(f".{word}" for word in words), f'{function} "key"']
    if "{{" in _PART.sub("", template):
        yield "a part of the template does not end", "write parts as {{ .Mesh }}"
    for part in _PART.findall(template):
        found = _WORD.fullmatch(part.strip())
        if found is None or not _MORE.fullmatch(found["more"]):
            yield "a part of the template cannot be read", f"it can be {one_of(known)}"
        elif found["word"] and found["word"] not in words:
            hint = did_you_mean(found["word"], words) or f"it can be {one_of(known)}"
            yield f"the template knows no .{found['word'][:64]}", hint
        elif found["function"] and found["function"] != function:
            yield f"the template knows no function {found['function'][:64]}", f"it can be {one_of(known)}"
