"""Exports as `kumactl export` and `kubectl get -o yaml` print them, with what servers add to a resource."""

from typing import Final

KEY: Final = "-----BEGIN PRIVATE KEY-----\nTUVTSFdSSUdIVA==\n-----END PRIVATE KEY-----\n"
PAYLOAD: Final = "dG9wLXNlY3JldA=="
"""What must be in no file that is written."""

MESH: Final = """\
type: Mesh
name: default
creationTime: "2024-01-01T00:00:00Z"
modificationTime: "2024-05-01T00:00:00Z"
mtls:
  enabledBackend: ca-1
  backends:
  - name: ca-1
    type: builtin
"""

TIMEOUT: Final = """\
creationTime: "2024-01-01T00:00:00Z"
kri: kri_mt_default___slow_
labels:
  kuma.io/display-name: slow
  kuma.io/env: universal
  kuma.io/mesh: default
  kuma.io/origin: zone
  team: shop
mesh: default
modificationTime: "2024-05-01T00:00:00Z"
name: slow
spec:
  to:
  - default: {connectionTimeout: 5s}
    targetRef: {kind: Mesh}
type: MeshTimeout
"""

RETRY: Final = """\
apiVersion: kuma.io/v1alpha1
kind: MeshRetry
metadata:
  annotations:
    kubectl.kubernetes.io/last-applied-configuration: '{"spec":{}}'
  creationTimestamp: "2024-01-01T00:00:00Z"
  generation: 3
  labels:
    k8s.kuma.io/namespace: demo
    kuma.io/mesh: default
  name: slow
  namespace: demo
  resourceVersion: "4711"
  uid: 6d5a2c7e-0000-4000-8000-000000000000
spec:
  targetRef: {kind: Mesh}
  to:
  - targetRef: {kind: Mesh}
    default: {http: {numRetries: 2}}
status: {}
"""

SECRETS: Final = f"""\
type: Secret
mesh: default
name: api-key
data: {PAYLOAD}
creationTime: "2024-01-01T00:00:00Z"
---
apiVersion: v1
kind: Secret
type: system.kuma.io/secret
metadata:
  name: edge-cert
  namespace: kuma-system
  labels: {{kuma.io/mesh: default}}
data:
  value: {PAYLOAD}
---
type: GlobalSecret
name: admin-user-token
data: {PAYLOAD}
"""

RUNTIME: Final = """\
type: DataplaneInsight
mesh: default
name: web-1
subscriptions: []
---
type: ZoneInsight
name: east
---
type: ServiceInsight
mesh: default
name: all
---
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
"""


def dataplane(name: str, address: str, zone: str = "east", port: int = 8080, **labels: str) -> str:
    """A proxy with the labels that Kuma computes for it."""
    more = "".join(f", {key}: {value}" for key, value in labels.items())
    return (
        f"type: Dataplane\nmesh: default\nname: {name}\n"
        f"labels: {{kuma.io/display-name: {name}, kuma.io/env: universal, kuma.io/mesh: default, kuma.io/origin: zone, "
        f"kuma.io/zone: {zone}{more}}}\n"
        f"networking:\n  address: {address}\n  inbound:\n"
        f"  - {{port: {port}, tags: {{kuma.io/service: web, kuma.io/zone: {zone}}}}}\n"
    )


def stream(*documents: str) -> bytes:
    return "---\n".join(documents).encode()
