"""Prometheus' text format: read as far as is needed to join answers, labels and numbers left as they are written."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

_HEADER: Final = re.compile(r"# (HELP|TYPE) ([^\s]+)(?: (.*))?")
_SAMPLE: Final = re.compile(r'([A-Za-z_:][\w:]*)\s*(?:\{((?:[^"}]|"(?:\\.|[^"\\])*")*)\})?\s+(\S+(?:\s+-?\d+)?)\s*')
_LABEL: Final = re.compile(r'(?:^|,)\s*([A-Za-z_]\w*)\s*=\s*"((?:\\.|[^"\\])*)"')
_SUFFIXES: Final = ("_bucket", "_sum", "_count", "_total", "_created")


@dataclass(frozen=True, slots=True)
class Sample:
    """One line; `labels` is what stands between the braces, `value` the number and a time if there is one."""

    name: str
    labels: str
    value: str

    def with_labels(self, extra: Mapping[str, str]) -> "Sample":
        """Its own labels win, for nothing of what it says may be lost."""
        own = self.label_values if extra else {}
        added = [f'{name}="{_escape(text)}"' for name, text in extra.items() if name not in own]
        return replace(self, labels=",".join([*([self.labels.strip(", ")] if self.labels.strip(", ") else []), *added]))

    @property
    def label_values(self) -> Mapping[str, str]:
        return dict(_LABEL.findall(self.labels))


@dataclass(frozen=True, slots=True)
class Family:
    """A metric with its samples, which must stand together in an answer."""

    name: str
    type: str = "untyped"
    help: str = ""
    samples: list[Sample] = field(default_factory=list)


def read_families(text: str) -> tuple[Family, ...]:
    """Lines that are no samples are passed over; a sample without a header is a family of its own."""
    found: dict[str, Family] = {}
    current: Family | None = None
    for line in text.splitlines():
        if header := _HEADER.fullmatch(line):
            current = _with_header(found, *header.groups(default=""))
        elif sample := _SAMPLE.fullmatch(line):
            name, labels, value = sample.groups(default="")
            if current is None or not _belongs(name, current):
                current = found.setdefault(name, Family(name))
            current.samples.append(Sample(name, labels, value))
    return tuple(family for family in found.values() if family.samples)


def join_families(sources: Iterable[Iterable[Family]]) -> tuple[Family, ...]:
    """Families of one name become one, if they are of one type; of two equal series the first counts.

    A scraper refuses an answer in which a family comes twice, or a series does.
    """
    joined: dict[str, Family] = {}
    seen: set[tuple[str, str]] = set()
    for family in (family for families in sources for family in families):
        kept = joined.setdefault(family.name, replace(family, samples=[]))
        if kept.type != family.type:
            continue
        for sample in family.samples:
            if (series := (sample.name, sample.labels)) not in seen:
                seen.add(series)
                kept.samples.append(sample)
    return tuple(family for family in joined.values() if family.samples)


def write_families(families: Iterable[Family]) -> str:
    return "".join(f"{line}\n" for family in families for line in _lines(family))


def _with_header(found: dict[str, Family], kind: str, name: str, text: str) -> Family:
    family = found.get(name, Family(name))
    found[name] = replace(family, type=text.strip()) if kind == "TYPE" else replace(family, help=text)
    return found[name]


def _belongs(name: str, family: Family) -> bool:
    return name == family.name or any(name == family.name + suffix for suffix in _SUFFIXES)


def _lines(family: Family) -> Iterator[str]:
    if family.help:
        yield f"# HELP {family.name} {family.help}"
    yield f"# TYPE {family.name} {family.type}"
    for sample in family.samples:
        yield f"{sample.name}{{{sample.labels}}} {sample.value}" if sample.labels else f"{sample.name} {sample.value}"


def _escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')
