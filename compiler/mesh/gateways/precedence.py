"""Which of two routes of a host is tried first (kuma-policies §2.4)."""

from typing import Final

from compiler.mesh.http_route import RouteMatch

_PATHS: Final = {"Exact": 0, "PathPrefix": 1, "RegularExpression": 2}


def precedence(match: RouteMatch) -> tuple[int, int, bool, int, int]:
    """The smaller comes first; a match that names no path is one of the prefix `/` (§8, defect 2)."""
    length = 0 if match.path_type == "Exact" else -len(match.path)
    return _PATHS[match.path_type], length, not match.method, -len(match.headers), -len(match.query)
