"""Names that the compiler gives where no user can give the same."""

from typing import Final

SHARED: Final = "_shared"
"""The name of the one snapshot that all proxies of a DataplaneSet with registration share (design D9)."""
NO_ZONE: Final = "default"
"""Stands for the zone of a proxy that is of none."""
NO_MESH: Final = "_zones"
"""Stands for the mesh of a zone proxy that is of none; no mesh can be called so."""
