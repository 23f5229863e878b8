"""How often a route tries again while the service answers 503."""

from typing import Any, Final

from compiler.review.promises.routing.answer import RETRIED_STATUS, CannotTell
from compiler.review.promises.routing.match import Request, matches_header
from compiler.review.promises.routing.table import Chosen

_ON_STATUS: Final = frozenset({"5xx", "gateway-error"})
_BY_HEADER: Final = "x-envoy-retry-"


def count_retries(chosen: Chosen, request: Request) -> int:
    """The route's policy, else the one of its virtual host; Envoy tries once more where no number is given."""
    policy = _policy(chosen)
    if policy is None or not _applies(policy, request):
        return 0
    return int(policy.num_retries.value) if policy.HasField("num_retries") else 1


def _policy(chosen: Chosen) -> Any:
    for owner in (chosen.route.route, chosen.host):
        if owner.HasField("retry_policy"):
            return owner.retry_policy
    return None


def _applies(policy: Any, request: Request) -> bool:
    """To a response of 503 without headers, to this request."""
    if any(name.startswith(_BY_HEADER) for name, _ in request.headers):
        raise CannotTell("the request itself says how it is retried: only a real Envoy can tell")
    tokens = {token.strip() for token in policy.retry_on.split(",")}
    listed = "retriable-status-codes" in tokens and RETRIED_STATUS in policy.retriable_status_codes
    if not (tokens & _ON_STATUS or listed):
        return False
    wanted = policy.retriable_request_headers
    return not wanted or any(matches_header(one, request.header(one.name)) for one in wanted)
