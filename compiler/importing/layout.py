"""How the files of an import are laid out. It stands alone since the command line names it at every start."""

from enum import StrEnum


class Layout(StrEnum):
    """`resource`: mesh/default/MeshTimeout/slow.yaml; `type`: mesh/default/MeshTimeout.yaml with all of them."""

    RESOURCE = "resource"
    TYPE = "type"
