"""Remembered slices: what each computation read, so that an edit costs what it touches.

Inputs are written; queries are pure functions that read inputs and ask other queries through the memo, which records
it. Writing an input that differs marks what leans on it as stale, transitively; asking a stale query first brings its
sources up to date and computes it anew only if one of them really changed. So incremental compile is the same
functions with remembered inputs, and the cost of an edit is the part of the graph between it and what it alters.
"""

from array import array
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from operator import is_
from typing import Any, Final, Generic, NamedTuple, TypeVar, cast

K = TypeVar("K", bound=Hashable)
W = TypeVar("W")
V_co = TypeVar("V_co", covariant=True)


@dataclass(frozen=True, eq=False)
class Input(Generic[K, V_co]):
    """A table of values that come from outside; `default` stands for what was never written."""

    name: str
    default: V_co


@dataclass(frozen=True, eq=False)
class Query(Generic[K, V_co]):
    """A pure function of its key and of what it reads through the memo.

    The last `recent` values that lost their last reader are kept for a while: an edit is often taken back.
    """

    name: str
    function: Callable[["Memo", K], V_co]
    recent: int = 0


Table = Input[Any, Any] | Query[Any, Any]


class CyclicQueryError(RuntimeError):
    """A query that asks itself: a mistake in the compiler."""


class _Node:
    """`dependents` is a set once somebody leans on it: most nodes of a large memo are few people's concern."""

    __slots__ = ("changed_at", "computing", "dependents", "key", "sources", "stale", "table", "value", "verified_at")

    def __init__(
        self, table: Input[Any, Any] | Query[Any, Any], key: Hashable, value: Any = None, revision: int = 0
    ) -> None:
        """Of a revision where the value is known, which is no more stale then."""
        self.table = table
        self.key = key
        self.value: Any = value
        self.changed_at = revision
        self.verified_at = revision
        self.stale = not revision
        self.computing = False
        self.sources: tuple[_Node, ...] = ()
        self.dependents: set[_Node] | None = None

    def lean(self, dependent: "_Node") -> None:
        if self.dependents is None:
            self.dependents = {dependent}
        else:
            self.dependents.add(dependent)

    def let_go(self, dependent: "_Node") -> None:
        if self.dependents is not None:
            self.dependents.discard(dependent)


class TableImage(NamedTuple):
    """One table without its functions: of each value its key, and by their numbers the values it was computed from.

    Values are numbered through all tables, in order; `sources` has those of the first value first, `counts` of each.
    """

    name: str
    keys: tuple[Hashable, ...]
    values: tuple[Any, ...]
    counts: Sequence[int]
    sources: Sequence[int]


@dataclass
class Memo:
    """All remembered values of one compiler; `computed` counts the runs of each query."""

    computed: dict[str, int] = field(default_factory=dict)
    _tables: defaultdict[object, dict[Hashable, _Node]] = field(default_factory=lambda: defaultdict(dict))
    _stack: list[dict[_Node, None]] = field(default_factory=list)
    _revision: int = 1
    _loose: set[_Node] = field(default_factory=set)
    _stale: defaultdict[object, set[Hashable]] = field(default_factory=lambda: defaultdict(set))
    """By table the keys that went stale and were not asked for since."""
    _named: dict[str, object] = field(default_factory=dict)
    _recent: dict[object, OrderedDict[Hashable, _Node]] = field(default_factory=dict)
    """By query those that nobody leans on any more, the longest forgotten first."""

    def write(self, table: Input[K, W], key: K, value: W) -> bool:
        """Set an input; True if it differs from what was there."""
        node = self._node(table, key)
        if node.value is value or node.value == value:
            return False
        self._revision += 1
        node.value = value
        node.changed_at = self._revision
        self._mark_stale(node)
        if value == table.default:
            self._loose.add(node)
        return True

    def read(self, table: Input[K, W], key: K) -> W:
        """An input, remembered as a source of the running query."""
        node = self._tables[table].get(key)
        if node is None:
            node = self._new_node(table, key)
        if self._stack:
            self._stack[-1][node] = None
        value: W = node.value
        return value

    def ask(self, query: Query[K, W], key: K) -> W:
        """A query's value, computed only where a source of it changed."""
        node = self._tables[query].get(key)
        if node is None:
            node = self._new_node(query, key)
        if node.stale:
            self._refresh(node)
        if self._stack:
            self._stack[-1][node] = None
        value: W = node.value
        return value

    def stale(self, query: Query[K, Any]) -> frozenset[K]:
        """The keys whose value may have changed since they were last asked for."""
        return frozenset(cast("set[K]", self._stale.get(query, _NO_KEYS)))

    def has(self, query: Query[K, Any], key: K) -> bool:
        """Whether it was asked for before, though it may have to be brought up to date."""
        return key in self._tables.get(query, {})

    def lacks(self, query: Query[K, Any], key: K) -> bool:
        """Whether asking for it would take a look at more than what is remembered, be it for nobody any more."""
        node = self._tables.get(query, {}).get(key)
        return key not in self._recent.get(query, ()) if node is None else node.stale

    def sources(self, query: Query[K, Any], key: K) -> tuple[tuple[str, Hashable], ...]:
        """What a value was computed from: names of tables, and keys."""
        return tuple((source.table.name, source.key) for source in self._tables[query][key].sources)

    def adopt(self, query: Query[K, W], key: K, value: W, sources: Iterable[tuple[str, Hashable]]) -> None:
        """Remember what another process computed from the same values; where it read what is not here, do not."""
        found = [self._find(name, key) for name, key in sources]
        known = {node: None for node in found if node is not None and not node.stale}
        if len(known) != len(found):
            return
        node = self._node(query, key)
        node.value, node.changed_at, node.verified_at = value, self._revision, self._revision
        self.computed[query.name] = self.computed.get(query.name, 0) + 1
        self._lean_on(node, known)
        self._freshen(node)

    def forget(self, query: Query[K, Any], keys: Iterable[K]) -> None:
        """Drop roots that nobody will ask for again, and with them what only they leaned on."""
        table = self._tables.get(query, {})
        self._loose.update(table[key] for key in keys if key in table)
        self.sweep()

    def sweep(self) -> None:
        """Forget what lost its last dependent since the last sweep: the memo is bounded by what is in use.

        Of inputs only those that say what they would say if they had never been written.
        """
        while self._loose:
            node = self._loose.pop()
            if node.dependents or (isinstance(node.table, Input) and node.value != node.table.default):
                continue
            self._tables[node.table].pop(node.key, None)
            if isinstance(node.table, Query) and node.table.recent and not node.stale:
                self._remember(node.table, node)
            self._freshen(node)
            for source in node.sources:
                source.let_go(node)
                self._loose.add(source)
        self._loose.clear()  # a set that was large once is searched through for each that is taken out of it

    def count(self, name: str, number: int) -> None:
        """Add to `computed` what is not a query's run."""
        self.computed[name] = self.computed.get(name, 0) + number

    def image(self) -> tuple[TableImage, ...]:
        """All that is remembered and up to date; nothing that was lately forgotten is in it."""
        tables = [
            (cast("Table", table), [node for node in nodes.values() if not node.stale])
            for table, nodes in self._tables.items()
        ]
        numbers = {node: number for number, node in enumerate(node for _, nodes in tables for node in nodes)}
        return tuple(_picture(table, nodes, numbers) for table, nodes in tables)

    @classmethod
    def from_image(
        cls, images: Iterable[TableImage], tables: Mapping[str, Input[Any, Any] | Query[Any, Any]]
    ) -> "Memo":
        """A memo that would give that image; raises KeyError for a table that is none of these, which are by name."""
        memo = cls()
        drawn = [(image, memo._restore(tables[image.name], image)) for image in images]
        every = [node for _, nodes in drawn for node in nodes]
        for image, nodes in drawn:
            sources = map(every.__getitem__, image.sources)
            for node, count in zip(nodes, image.counts, strict=True):
                node.sources = tuple(islice(sources, count))
                for source in node.sources:  # `lean`, without a call for each of a mesh's hundred thousands
                    if source.dependents is None:
                        source.dependents = {node}
                    else:
                        source.dependents.add(node)
        return memo

    def _restore(self, table: Table, image: TableImage) -> list[_Node]:
        pairs = zip(image.keys, image.values, strict=True)
        nodes = [_Node(table, key, value, self._revision) for key, value in pairs]
        self._tables[table] = dict(zip(image.keys, nodes, strict=True))
        return nodes

    @property
    def size(self) -> int:
        """How many values are remembered."""
        return sum(len(nodes) for nodes in self._tables.values())

    def _find(self, name: str, key: Hashable) -> _Node | None:
        table = self._named.get(name)
        if table is None:
            self._named.update((cast("Input[Any, Any]", one).name, one) for one in self._tables)
            table = self._named.get(name)
        return self._tables[table].get(key) if table is not None else None

    def _node(self, table: Input[Any, Any] | Query[Any, Any], key: Hashable) -> _Node:
        try:
            return self._tables[table][key]
        except KeyError:
            return self._new_node(table, key)

    def _remember(self, query: Query[Any, Any], node: _Node) -> None:
        recent = self._recent.setdefault(query, OrderedDict())
        recent[node.key] = node
        if len(recent) > query.recent:
            recent.popitem(last=False)

    def _recall(self, query: Query[Any, Any], key: Hashable) -> _Node | None:
        """What was forgotten, if all that it was computed from is here and as it was."""
        recent = self._recent.get(query)
        node = recent.pop(key, None) if recent is not None else None
        if node is None or not all(self._is_as_it_was(source, node.verified_at) for source in node.sources):
            return None
        for source in node.sources:
            source.lean(node)
        return node

    def _is_as_it_was(self, source: _Node, when: int) -> bool:
        here = self._tables.get(source.table, {}).get(source.key) is source
        return here and not source.stale and source.changed_at <= when

    def _new_node(self, table: Input[Any, Any] | Query[Any, Any], key: Hashable) -> _Node:
        if isinstance(table, Query) and table.recent and (recalled := self._recall(table, key)) is not None:
            self._tables[table][key] = recalled
            return recalled
        node = self._tables[table][key] = _Node(table, key)
        if isinstance(table, Input):
            node.value, node.stale = table.default, False
            self._loose.add(node)
        return node

    def _refresh(self, node: _Node) -> None:
        if node.verified_at and not self._moved(node):
            node.verified_at = self._revision
            self._freshen(node)
            return
        self._compute(node)

    def _moved(self, node: _Node) -> bool:
        for source in node.sources:
            if source.stale:
                self._refresh(source)
            if source.changed_at > node.verified_at:
                return True
        return False

    def _compute(self, node: _Node) -> None:
        if node.computing:
            raise CyclicQueryError(f"{node.table.name}({node.key!r}) asks itself")
        read: dict[_Node, None] = {}
        node.computing = True
        self._stack.append(read)
        try:
            value = node.table.function(self, node.key)  # type: ignore[union-attr]  # inputs are never stale
        except BaseException:
            self._lean_on(node, dict.fromkeys(node.sources) | read)
            raise
        finally:
            self._stack.pop()
            node.computing = False
        self.computed[node.table.name] = self.computed.get(node.table.name, 0) + 1
        self._lean_on(node, read)
        if not node.verified_at or not (node.value is value or node.value == value):
            node.value, node.changed_at = value, self._revision
        node.verified_at = self._revision
        self._freshen(node)

    def _lean_on(self, node: _Node, read: dict[_Node, None]) -> None:
        """Mostly on the same as before."""
        if len(read) == len(node.sources) and all(map(is_, read, node.sources)):
            return
        for source in node.sources:
            if source not in read:
                source.let_go(node)
                self._loose.add(source)
        node.sources = tuple(read)
        for source in node.sources:
            source.lean(node)

    def _freshen(self, node: _Node) -> None:
        node.stale = False
        if waiting := self._stale.get(node.table):
            waiting.discard(node.key)

    def _mark_stale(self, node: _Node) -> None:
        waiting = list(node.dependents or ())
        while waiting:
            dependent = waiting.pop()
            if not dependent.stale:
                dependent.stale = True
                self._stale[dependent.table].add(dependent.key)
                if dependent.dependents:
                    waiting.extend(dependent.dependents)


def _picture(table: Table, nodes: Sequence[_Node], numbers: Mapping[_Node, int]) -> TableImage:
    return TableImage(
        table.name,
        tuple(node.key for node in nodes),
        tuple(node.value for node in nodes),
        array("I", [len(node.sources) for node in nodes]),
        array("I", [numbers[source] for node in nodes for source in node.sources]),
    )


_NO_KEYS: Final[frozenset[Hashable]] = frozenset()
