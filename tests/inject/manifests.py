"""Manifests for these tests, and what becomes of them."""

from collections.abc import Mapping
from typing import Any

import yaml

from compiler.diagnostics import Severity
from compiler.inject.files import Injected, inject_files
from compiler.inject.reading import ManifestFile
from compiler.inject.settings import InjectSettings
from tests.resources.build import schemas

DEFAULTS = InjectSettings()
NAMESPACE = """\
apiVersion: v1
kind: Namespace
metadata:
  name: shop
  labels:
    kuma.io/sidecar-injection: enabled
"""
SERVICE = """\
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec:
  selector: {app: web}
  ports:
  - {name: http, port: 80, targetPort: http, appProtocol: http}
"""


def deployment(
    name: str = "web",
    *,
    annotations: Mapping[str, str] | None = None,
    labels: Mapping[str, str] | None = None,
    spec: str = "",
    container: str = "",
) -> str:
    """Lines of `spec` stand beside the containers, those of `container` in the one that there is."""
    lines = [f"      {line}" for line in spec.splitlines()] + [f"        {line}" for line in container.splitlines()]
    beside = "\n".join(line for line in lines[: len(spec.splitlines())])
    inside = "\n".join(line for line in lines[len(spec.splitlines()) :])
    marks = "".join(f"\n        {key}: {value!r}" for key, value in (annotations or {}).items())
    return f"""\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {name}   # its name
  namespace: shop
spec:
  selector:
    matchLabels: {{app: {name}}}
  template:
    metadata:
      labels:{"".join(f"{chr(10)}        {key}: {value!r}" for key, value in {"app": name, **(labels or {})}.items())}
      annotations:{marks or " {}"}
    spec:
{beside}
      containers:
      # the application
      - name: {name}
        image: {name}:1   # a version
        ports:
        - {{containerPort: 8080, name: http}}
{inside}
"""


def inject(*texts: str, settings: InjectSettings = DEFAULTS, derives: bool = False, makes: bool = False) -> Injected:
    """One file of each text."""
    files = [ManifestFile(f"{number}.yaml", text.encode()) for number, text in enumerate(texts)]
    return inject_files(files, settings, schemas(), derives=derives, makes=makes)


def injected_text(*texts: str, settings: InjectSettings = DEFAULTS) -> str:
    """Of the last file; nothing may be wrong."""
    done = inject(*texts, settings=settings)
    assert [str(each.message) for each in done.diagnostics if each.level is Severity.ERROR] == []
    return done.files[-1].content.decode()


def injected_pod(*texts: str, settings: InjectSettings = DEFAULTS) -> dict[str, Any]:
    """The pod of the first workload of the last file."""
    documents = list(yaml.safe_load_all(injected_text(*texts, settings=settings)))
    pod: dict[str, Any] = next(each for each in documents if each["kind"] == "Deployment")["spec"]["template"]
    return pod


def container(pod: Mapping[str, Any], name: str = "kuma-sidecar") -> dict[str, Any]:
    """By its name, whatever list it is in."""
    lists = (*pod["spec"].get("initContainers", ()), *pod["spec"]["containers"])
    found: dict[str, Any] = next(each for each in lists if each["name"] == name)
    return found


def codes(done: Injected) -> list[tuple[str, str]]:
    """What was found and where."""
    return [(each.code.word, f"{each.position.line}") for each in done.diagnostics]
