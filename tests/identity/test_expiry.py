"""Authorities whose time is over are told of by whoever looks at a clock, and refused by nobody."""

import json
from datetime import UTC, datetime

import pytest

from compiler.identity.expiry import check_expiry
from compiler.pipeline import compile_tree
from tests.certificates import AUTHORITY, EXPIRED
from tests.trees import SCHEMAS, tree_of

MESH = "type: Mesh\nname: default\n"
TRUST = (
    "type: MeshTrust\nmesh: default\nname: t\nspec:\n  trustDomain: a.b\n  caBundles: [{type: Pem, pem: {value: %s}}]\n"
)
PROVIDED = (
    f"{MESH}mtls:\n  enabledBackend: ca\n  backends:\n"
    "  - {name: ca, type: provided, conf: {cert: {inlineString: %s}, key: {secret: k}}}\n"
)
IDENTITY = """
type: MeshIdentity
mesh: default
name: i
spec:
  selector: {dataplane: {matchLabels: {}}}
  provider:
    type: Bundled
    bundled:
      autogenerate: {enabled: false}
      ca:
        certificate: {type: InsecureInline, insecureInline: {value: %s}}
        privateKey: {type: Secret, secretRef: {kind: Secret, name: k}}
"""


@pytest.mark.parametrize(
    ("documents", "place"),
    [
        ((MESH, TRUST), ("1.yaml", 6)),
        ((PROVIDED,), ("0.yaml", 6)),
        ((MESH, IDENTITY), ("1.yaml", 12)),
    ],
    ids=["trust", "mesh", "identity"],
)
def test_an_authority_is_told_of_from_the_day_on_which_it_expires(
    documents: tuple[str, ...], place: tuple[str, int]
) -> None:
    *others, last = documents
    tree = tree_of({f"{n}.yaml": text for n, text in enumerate((*others, last % json.dumps(AUTHORITY + EXPIRED)))})
    checked = compile_tree(tree, SCHEMAS)
    assert not [one for one in checked.diagnostics if one.code.word in ("bad-value", "expired-certificate")]
    (found,) = check_expiry(checked.value.resources, datetime(2021, 1, 1, tzinfo=UTC))
    assert (found.code.word, found.position.file, found.position.line) == ("expired-certificate", *place)
    assert found.message == "the certificate expired on 2021-01-01"
    assert not tuple(check_expiry(checked.value.resources, datetime(2020, 12, 31, tzinfo=UTC)))
