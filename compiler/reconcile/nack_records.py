"""Unrepaired NACKs in the live state, as the xDS server keeps them."""

import msgspec

from compiler.state.live import LiveState
from compiler.xds.remembered import UnrepairedNack


class KeptNacks:
    """A record that cannot be understood is none: the node is then treated as one that nothing is known of."""

    def __init__(self, state: LiveState) -> None:
        self._state = state

    def load(self, node_id: str) -> UnrepairedNack | None:
        record = self._state.unrepaired_nack(node_id)
        try:
            return msgspec.json.decode(record, type=UnrepairedNack) if record is not None else None
        except msgspec.DecodeError:
            return None

    def save(self, node_id: str, record: UnrepairedNack | None) -> None:
        self._state.keep_unrepaired_nack(node_id, None if record is None else msgspec.json.encode(record))
