"""The IR of requests: which of them match, what is changed in them, and where they are sent."""

from typing import Any

from compiler.mesh.destination import Destination
from compiler.mesh.order import Origin
from compiler.mesh.value import Confs, Value


class HeaderMatch(Value, frozen=True):
    """`type`: Exact, Present, Absent, RegularExpression or Prefix."""

    name: str
    type: str = "Exact"
    value: str = ""


class QueryMatch(Value, frozen=True):
    name: str
    type: str
    value: str


class RouteMatch(Value, frozen=True):
    """`path_type`: Exact, PathPrefix or RegularExpression; a match that names no path matches every one."""

    path_type: str = "PathPrefix"
    path: str = "/"
    method: str = ""
    headers: tuple[HeaderMatch, ...] = ()
    query: tuple[QueryMatch, ...] = ()


class HeaderChange(Value, frozen=True):
    set: tuple[tuple[str, str], ...] = ()
    add: tuple[tuple[str, str], ...] = ()
    remove: tuple[str, ...] = ()


class PathChange(Value, frozen=True):
    """`type`: ReplaceFullPath, ReplacePrefixMatch, or ReplaceRegexMatch with the `pattern` whose matches go."""

    type: str
    value: str
    pattern: str = ""


class HostFromPath(Value, frozen=True):
    """What is substituted for the matches of a pattern in the path, which is the new host then."""

    pattern: str
    substitution: str


class Redirect(Value, frozen=True):
    status: int = 302
    scheme: str = ""
    hostname: str = ""
    port: int = 0
    path: PathChange | None = None


class Rewrite(Value, frozen=True):
    """`to_backend` where the host becomes the name of the endpoint that is called."""

    hostname: str = ""
    path: PathChange | None = None
    to_backend: bool = False
    from_path: HostFromPath | None = None


class Mirror(Value, frozen=True):
    """`percentage` as written, in percent."""

    destination: Destination
    percentage: str = "100"


class Backend(Value, frozen=True):
    """A share of the traffic; a destination of None stands for a backend that does not exist and answers 500."""

    destination: Destination | None
    weight: int = 1


class HttpRoute(Value, frozen=True):
    """Requests that match go to the backends by weight, or are redirected; `confs` hold for this route.

    `inline` is what the rule itself says in the words of other kinds of policies, until `confs` has it too.
    """

    name: str
    match: RouteMatch
    backends: tuple[Backend, ...]
    confs: Confs
    request_headers: HeaderChange = HeaderChange()
    response_headers: HeaderChange = HeaderChange()
    redirect: Redirect | None = None
    rewrite: Rewrite | None = None
    mirrors: tuple[Mirror, ...] = ()
    origins: tuple[Origin, ...] = ()
    inline: tuple[tuple[str, Any], ...] = ()
