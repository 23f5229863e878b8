"""Whom a proxy may believe. A server that only serves needs this of the mesh, and no more of it."""

from typing import Final, NamedTuple

IDENTITY_AUTHORITY: Final = "identity/"
"""What the authority of a MeshIdentity is called, before its name; a Mesh's is called like its backend."""


class Trusted(NamedTuple):
    """Certificates of a trust domain are believed that lead to a certificate in `pem`, or to an authority's root.

    An authority that nobody handed to the server is made of its `sources`: two Secrets, a certificate and its key.
    It is one of `mesh`, or of the proxy's own mesh where that is empty.
    """

    domain: str
    pem: str = ""
    authority: str = ""
    sources: tuple[str, ...] = ()
    mesh: str = ""
