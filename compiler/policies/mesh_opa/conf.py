"""What a MeshOPA says (kuma-policies §3.1)."""

import base64
import binascii
from typing import Final

from compiler.resources.model import Spec
from compiler.resources.values import Duration

DENY: Final = "Deny"


class Inline(Spec, frozen=True):
    value: str


class Source(Spec, frozen=True):
    """A text, in one of the ways of Kuma 2 (`inline` is base64) or in that of Kuma 3; other ways are refused."""

    inline: str = ""
    inline_string: str = ""
    insecure_inline: Inline | None = None

    @property
    def text(self) -> str:
        """Empty where it is kept in a way that is refused."""
        if self.insecure_inline is not None:
            return self.insecure_inline.value
        return self.inline_string or decoded(self.inline) or ""


class Module(Spec, frozen=True):
    rego: Source
    ignore_decision: bool = False


class Body(Spec, frozen=True):
    """`max_size` is in bytes; with 0 the agent does not see it."""

    max_size: int = 0
    send_raw_body: bool = False


class Asking(Spec, frozen=True):
    status_on_error: int = 403
    on_agent_failure: str = DENY
    request_body: Body = Body()
    timeout: Duration | None = None


class Authorization(Spec, frozen=True):
    agent_config: Source | None = None
    append_policies: tuple[Module, ...] = ()
    auth_config: Asking = Asking()


def decoded(text: str) -> str | None:
    """What stands in base64, on however many lines; None where it is no text."""
    try:
        return base64.b64decode("".join(text.split()), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return None
