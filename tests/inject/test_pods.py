"""What is added to a pod: containers, volumes, annotations and probes, as Kuma's injector adds them."""

from dataclasses import replace
from typing import Any

import kubernetes_validate
import pytest
import yaml

from compiler.inject.annotations import KINDS
from compiler.inject.containers import workers
from compiler.inject.settings import InjectSettings, Share
from tests.inject.manifests import (
    DEFAULTS,
    NAMESPACE,
    codes,
    container,
    deployment,
    inject,
    injected_pod,
    injected_text,
)

NATIVE = replace(DEFAULTS, native_sidecars=True)
CNI = replace(DEFAULTS, traffic=replace(DEFAULTS.traffic, cni=True))
EBPF = replace(DEFAULTS, traffic=replace(DEFAULTS.traffic, ebpf=True))
POD = """\
apiVersion: v1
kind: {kind}
metadata: {{name: x, namespace: shop}}
spec: {spec}
"""
TEMPLATE = (
    "{{template: {{metadata: {{labels: {{app: x}}}}, spec: {{containers: [{{name: x, image: x}}]{more}}}}}{beside}}}"
)
SELECTOR = ", selector: {matchLabels: {app: x}}"


def _of(kind: str) -> str:
    """A workload of that kind which its API server would take."""
    match kind:
        case "Pod":
            return POD.format(kind=kind, spec="{containers: [{name: x, image: x}]}")
        case "Job":
            return POD.format(kind=kind, spec=TEMPLATE.format(more=", restartPolicy: Never", beside="")).replace(
                "v1", "batch/v1", 1
            )
        case "CronJob":
            job = TEMPLATE.format(more=", restartPolicy: Never", beside="")
            return POD.format(kind=kind, spec=f"{{schedule: '@daily', jobTemplate: {{spec: {job}}}}}").replace(
                "v1", "batch/v1", 1
            )
        case "StatefulSet":
            beside = f"{SELECTOR}, serviceName: x"
            return POD.format(kind=kind, spec=TEMPLATE.format(more="", beside=beside)).replace("v1", "apps/v1", 1)
        case "ReplicationController":
            return POD.format(kind=kind, spec=TEMPLATE.format(more="", beside=", selector: {app: x}"))
        case _:
            return POD.format(kind=kind, spec=TEMPLATE.format(more="", beside=SELECTOR)).replace("v1", "apps/v1", 1)


WORKLOADS = [
    "Pod",
    "Deployment",
    "StatefulSet",
    "DaemonSet",
    "ReplicaSet",
    "ReplicationController",
    "Job",
    "CronJob",
]


@pytest.mark.parametrize(
    ("kind", "settings"),
    [*((kind, DEFAULTS) for kind in WORKLOADS), ("Job", NATIVE), ("Pod", CNI), ("Deployment", EBPF)],
)
def test_kubernetes_takes_every_kind_of_workload_with_its_sidecar(kind: str, settings: InjectSettings) -> None:
    before = _of(kind)
    kubernetes_validate.validate(yaml.safe_load(before), "1.31", strict=True)
    after = injected_text(NAMESPACE, before, settings=settings)
    assert "kuma-sidecar" in after
    kubernetes_validate.validate(yaml.safe_load(after), "1.31", strict=True)


@pytest.mark.parametrize("settings", [DEFAULTS, NATIVE, CNI, EBPF], ids=["plain", "native", "cni", "ebpf"])
@pytest.mark.parametrize("kind", WORKLOADS)
def test_a_second_run_changes_nothing(kind: str, settings: InjectSettings) -> None:
    once = injected_text(NAMESPACE, _of(kind), settings=settings)
    assert injected_text(NAMESPACE, once, settings=settings) == once


def test_the_sidecar_is_the_first_container_with_kumas_resources() -> None:
    pod = injected_pod(NAMESPACE, deployment())
    assert [each["name"] for each in pod["spec"]["containers"]] == ["kuma-sidecar", "web"]
    sidecar = container(pod)
    assert sidecar["resources"] == {
        "requests": {"cpu": "50m", "memory": "64Mi", "ephemeral-storage": "50M"},
        "limits": {"cpu": "1000m", "memory": "512Mi", "ephemeral-storage": "1G"},
    }
    assert sidecar["securityContext"]["runAsUser"] == 5678
    assert sidecar["securityContext"]["readOnlyRootFilesystem"] is True
    assert sidecar["readinessProbe"]["httpGet"] == {"path": "/ready", "port": 9901}
    assert [each["name"] for each in pod["spec"]["volumes"]] == ["kuma-init-tmp", "kuma-sidecar-tmp"]
    assert pod["metadata"]["labels"] == {"app": "web", "kuma.io/mesh": "default"}


def test_the_init_container_redirects_what_is_not_excluded() -> None:
    init = container(injected_pod(NAMESPACE, deployment()), "kuma-init")
    assert init["command"] == ["/usr/bin/kumactl", "install", "transparent-proxy"]
    assert init["args"] == ["--exclude-inbound-ports=9001", "--redirect-all-dns-traffic", "--verbose"]
    assert init["securityContext"]["capabilities"] == {"add": ["NET_ADMIN", "NET_RAW"], "drop": ["ALL"]}


def test_comments_stay() -> None:
    text = injected_text(NAMESPACE, deployment(spec="serviceAccountName: web   # its account\n"))
    for comment in ("# its name", "# its account", "# the application", "# a version"):
        assert text.count(comment) == 1


@pytest.mark.parametrize(
    ("limit", "count"),
    [("100m", 2), ("1", 2), ("2999m", 2), ("3", 3), ("3.5", 3), ("10", 10), ("64", 10), ("4e0", 4)],
)
def test_concurrency_follows_the_cpu_limit_within_2_and_10(limit: str, count: int) -> None:
    assert workers(limit) == count
    sidecar = replace(DEFAULTS.sidecar, limits=Share(limit, "512Mi"))
    pod = injected_pod(NAMESPACE, deployment(), settings=replace(DEFAULTS, sidecar=sidecar))
    assert container(pod)["args"] == ["dataplane", "run", f"--concurrency={count}"]


def _env(pod: dict[str, Any], name: str) -> str | None:
    found = [each.get("value") for each in container(pod)["env"] if each["name"] == name]
    return found[0] if found else None


RUN = "MESHWRIGHT_DATAPLANE_RUN_"
INIT_WORDS = [
    ("traffic.kuma.io/exclude-inbound-ports", "1,3000-3010", "--exclude-inbound-ports=1,3000-3010,9001"),
    ("traffic.kuma.io/exclude-outbound-ports", "22", "--exclude-outbound-ports=22"),
    ("traffic.kuma.io/exclude-inbound-ips", "10.0.0.0/8, 1.1.1.1", "--exclude-inbound-ips=10.0.0.0/8,1.1.1.1"),
    ("traffic.kuma.io/exclude-outbound-ips", "fd00::/8", "--exclude-outbound-ips=fd00::/8"),
    (
        "traffic.kuma.io/exclude-outbound-ports-for-uids",
        "tcp:80:1;udp:53:2",
        "--exclude-outbound-ports-for-uids=udp:53:2",
    ),
    ("traffic.kuma.io/drop-invalid-packets", "true", "--drop-invalid-packets"),
    ("traffic.kuma.io/iptables-logs", "true", "--iptables-logs"),
    ("kuma.io/transparent-proxying-ip-family-mode", "ipv4", "--ip-family-mode=ipv4"),
    ("kuma.io/application-probe-proxy-port", "9100", "--exclude-inbound-ports=9100"),
    ("kuma.io/builtin-dns-port", "15054", "--redirect-dns-port=15054"),
    ("kuma.io/gateway", "enabled", "--redirect-inbound=false"),
    ("kuma.io/transparent-proxying-ebpf", "enabled", "--ebpf-cgroup-path=/sys/fs/cgroup"),
]
SIDECAR_VALUES = [
    ("kuma.io/sidecar-env-vars", "A=1;B=x", "A", "1"),
    ("kuma.io/sidecar-drain-time", "1m30s", f"{RUN}DRAIN_TIME", "90"),
    ("kuma.io/envoy-log-level", "warn", f"{RUN}LOG_LEVEL", "warning"),
    ("kuma.io/envoy-component-log-level", "http:debug", f"{RUN}COMPONENT_LOG_LEVEL", "http:debug"),
    ("kuma.io/xds-transport-protocol-variant", "GRPC", f"{RUN}STATE_OF_THE_WORLD", "true"),
    ("kuma.io/mesh", "prod", f"{RUN}MESH", "prod"),
    ("kuma.io/builtin-dns", "disabled", f"{RUN}DNS", "false"),
    ("k8s.kuma.io/spire-support", "true", f"{RUN}SPIRE", "true"),
]


@pytest.mark.parametrize(("name", "value", "word"), INIT_WORDS)
def test_an_annotation_decides_what_is_redirected(name: str, value: str, word: str) -> None:
    assert word in container(injected_pod(NAMESPACE, deployment(annotations={name: value})), "kuma-init")["args"]
    assert word not in container(injected_pod(NAMESPACE, deployment()), "kuma-init")["args"]


@pytest.mark.parametrize(("name", "value", "variable", "given"), SIDECAR_VALUES)
def test_an_annotation_reaches_the_sidecar(name: str, value: str, variable: str, given: str) -> None:
    assert _env(injected_pod(NAMESPACE, deployment(annotations={name: value})), variable) == given
    assert _env(injected_pod(NAMESPACE, deployment()), variable) != given


def test_the_concurrency_of_an_annotation_wins() -> None:
    for value, words in (("7", ["--concurrency=7"]), ("0", [])):
        pod = injected_pod(NAMESPACE, deployment(annotations={"kuma.io/sidecar-proxy-concurrency": value}))
        assert container(pod)["args"] == ["dataplane", "run", *words]


def test_the_admin_port_is_where_probes_go() -> None:
    pod = injected_pod(NAMESPACE, deployment(annotations={"kuma.io/envoy-admin-port": "9911"}))
    assert {container(pod)[name]["httpGet"]["port"] for name in ("livenessProbe", "readinessProbe")} == {9911}
    variables = {one["name"]: one.get("value") for one in container(pod)["env"]}
    assert variables["MESHWRIGHT_DATAPLANE_RUN_READINESS"] == "127.0.0.1:9911"


def test_the_application_waits_where_that_is_asked_for() -> None:
    pod = injected_pod(NAMESPACE, deployment(annotations={"kuma.io/wait-for-dataplane-ready": "true"}))
    command = container(pod)["lifecycle"]["postStart"]["exec"]["command"]
    assert command == ["meshwright", "dataplane", "wait", "--url", "http://localhost:9901/ready"]
    assert "lifecycle" not in container(injected_pod(NAMESPACE, deployment()))


def test_init_first_puts_redirection_before_the_pods_own_init_containers() -> None:
    own = "initContainers:\n- {name: own, image: own}   # kept\n"
    for annotations, expected in (({}, ["own", "kuma-init"]), ({"kuma.io/init-first": "true"}, ["kuma-init", "own"])):
        text = injected_text(NAMESPACE, deployment(annotations=annotations, spec=own))
        inits = yaml.safe_load(text)["spec"]["template"]["spec"]["initContainers"]
        assert [each["name"] for each in inits] == expected
        assert "# kept" in text


def test_a_native_sidecar_is_an_init_container_that_goes_on() -> None:
    own = "initContainers:\n- {name: own, image: own}\n"
    pod = injected_pod(NAMESPACE, deployment(spec=own), settings=NATIVE)
    assert [each["name"] for each in pod["spec"]["initContainers"]] == ["kuma-init", "kuma-sidecar", "own"]
    assert [each["name"] for each in pod["spec"]["containers"]] == ["web"]
    sidecar = container(pod)
    assert sidecar["restartPolicy"] == "Always"
    assert sidecar["startupProbe"]["httpGet"]["path"] == "/ready"


def test_with_cni_nothing_has_the_right_to_change_the_network() -> None:
    pod = injected_pod(NAMESPACE, deployment(), settings=CNI)
    assert [each["name"] for each in pod["spec"]["initContainers"]] == ["kuma-validation"]
    assert "NET_ADMIN" not in yaml.safe_dump(pod)
    assert pod["metadata"]["annotations"]["k8s.v1.cni.cncf.io/networks"] == "kuma-cni"
    gateway = injected_pod(NAMESPACE, deployment(annotations={"kuma.io/gateway": "enabled"}), settings=CNI)
    assert "initContainers" not in gateway["spec"]


def test_the_token_is_mounted_from_the_volume_that_is_named() -> None:
    volumes = "volumes:\n- {name: token, emptyDir: {}}\n"
    named = {"kuma.io/service-account-token-volume": "token"}
    mounts = container(injected_pod(NAMESPACE, deployment(annotations=named, spec=volumes)))["volumeMounts"]
    assert {"name": "token", "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount", "readOnly": True} in mounts
    assert codes(inject(NAMESPACE, deployment(annotations=named))) == [("no-such-volume", "14")]


def test_a_pod_lives_as_long_as_its_sidecar_drains() -> None:
    assert injected_pod(NAMESPACE, deployment())["spec"]["terminationGracePeriodSeconds"] == 35
    short = deployment(annotations={"kuma.io/sidecar-drain-time": "5s"})
    assert "terminationGracePeriodSeconds" not in injected_pod(NAMESPACE, short)["spec"]
    cut = inject(NAMESPACE, deployment(spec="terminationGracePeriodSeconds: 10\n"))
    assert codes(cut) == [("drain-cut-off", "15")]


PROBES = [
    ("httpGet: {path: /ok, port: 8080}", {"path": "/8080/ok", "port": 9001}),
    ("httpGet: {path: ok, port: http}", {"path": "/8080/ok", "port": 9001}),
    ("httpGet: {port: 8080}", {"path": "/8080/", "port": 9001}),
    (
        "httpGet: {path: /, port: 1, scheme: HTTPS, httpHeaders: [{name: Host, value: h}, {name: A, value: b}]}",
        {
            "path": "/1/",
            "port": 9001,
            "httpHeaders": [
                {"name": "x-kuma-probes-host", "value": "h"},
                {"name": "A", "value": "b"},
                {"name": "x-kuma-probes-scheme", "value": "HTTPS"},
            ],
        },
    ),
    (
        "tcpSocket: {port: http}\n  timeoutSeconds: 4",
        {"path": "/tcp/8080", "port": 9001, "httpHeaders": [{"name": "x-kuma-probes-timeout", "value": "4"}]},
    ),
    (
        "grpc: {port: 7, service: s}",
        {"path": "/grpc/7", "port": 9001, "httpHeaders": [{"name": "x-kuma-probes-grpc-service", "value": "s"}]},
    ),
]


@pytest.mark.parametrize(("probe", "expected"), PROBES)
@pytest.mark.parametrize("name", ["livenessProbe", "readinessProbe", "startupProbe"])
def test_a_probe_goes_by_way_of_the_sidecar(name: str, probe: str, expected: dict[str, Any]) -> None:
    pod = injected_pod(NAMESPACE, deployment(container=f"{name}:\n  {probe}\n  periodSeconds: 7\n"))
    changed = container(pod, "web")[name]
    assert changed["httpGet"] == expected
    assert not {"tcpSocket", "grpc"} & changed.keys()
    assert changed["periodSeconds"] == 7


def test_virtual_probes_are_for_http_alone() -> None:
    annotations = {"kuma.io/application-probe-proxy-port": "0", "kuma.io/virtual-probes-port": "9009"}
    lines = "livenessProbe: {httpGet: {path: /a, port: 80}}\nreadinessProbe: {tcpSocket: {port: 80}}\n"
    web = container(injected_pod(NAMESPACE, deployment(annotations=annotations, container=lines)), "web")
    assert web["livenessProbe"]["httpGet"] == {"path": "/80/a", "port": 9009}
    assert web["readinessProbe"] == {"tcpSocket": {"port": 80}}


def test_a_gateways_probes_stay() -> None:
    lines = "livenessProbe: {httpGet: {path: /a, port: 80}}\n"
    gateway = {"kuma.io/gateway": "enabled"}
    web = container(injected_pod(NAMESPACE, deployment(annotations=gateway, container=lines)), "web")
    assert web["livenessProbe"] == {"httpGet": {"path": "/a", "port": 80}}
    asked = {**gateway, "kuma.io/application-probe-proxy-port": "9001"}
    assert codes(inject(NAMESPACE, deployment(annotations=asked))) == [("bad-probe", "15")]


@pytest.mark.parametrize("probe", ["httpGet: {port: nowhere}", "tcpSocket: {port: 9001}"])
def test_a_probe_that_the_sidecar_cannot_pass_on_is_refused(probe: str) -> None:
    done = inject(NAMESPACE, deployment(container=f"livenessProbe:\n  {probe}\n"))
    assert codes(done) == [("bad-probe", "23")]


BAD_VALUES = {
    "kuma.io/gateway": "yess",
    "kuma.io/virtual-probes": "maybe",
    "kuma.io/virtual-probes-port": "0",
    "kuma.io/application-probe-proxy-port": "99999",
    "kuma.io/sidecar-env-vars": "A",
    "kuma.io/sidecar-proxy-concurrency": "-1",
    "kuma.io/sidecar-drain-time": "30",
    "kuma.io/envoy-log-level": "loud",
    "kuma.io/envoy-component-log-level": "http",
    "kuma.io/envoy-admin-port": "admin",
    "kuma.io/init-first": "1",
    "kuma.io/wait-for-dataplane-ready": "",
    "kuma.io/transparent-proxying-ip-family-mode": "ipv6",
    "kuma.io/reachable-backends": "refs: [{name: x}]",
    "kuma.io/transparent-proxying-ebpf-cgroup-path": "sys",
    "traffic.kuma.io/exclude-inbound-ports": "80,x",
    "traffic.kuma.io/exclude-outbound-ports": "90-80",
    "traffic.kuma.io/exclude-inbound-ips": "10.0.0.0/99",
    "traffic.kuma.io/exclude-outbound-ports-for-uids": "a b",
    "traffic.kuma.io/drop-invalid-packets": "enabled",
    "prometheus.metrics.kuma.io/port": "x",
    "prometheus.metrics.kuma.io/aggregate-app-port": "x",
}


@pytest.mark.parametrize(("name", "value"), BAD_VALUES.items())
def test_a_value_that_an_annotation_does_not_take_is_an_error_at_its_place(name: str, value: str) -> None:
    done = inject(NAMESPACE, deployment(annotations={name: value}))
    assert codes(done) == [("bad-annotation", "14")]
    assert not done.files[1].is_changed


FINE = {
    "a port from 1 to 65535, in quotes": "1234",
    "a port, or 0 for none, in quotes": "1234",
    "a whole number in quotes": "3",
    "a path that begins with /": "/x",
    "a name": "x",
    "enabled, disabled, true or false": "enabled",
    "true or false": "true",
}


@pytest.mark.parametrize("name", sorted(KINDS))
def test_an_annotation_that_is_documented_is_not_complained_of(name: str) -> None:
    special = {"kuma.io/container-patches", "kuma.io/service-account-token-volume", "kuma.io/reachable-backends"}
    kind = KINDS[name]
    candidates = (FINE.get(kind.wanted, ""), *kind.wanted.split(), "A=1;B=2", "80", "10.0.0.0/8", "DELTA_GRPC", "30s")
    value = next(each for each in candidates if each and kind.accepts(each))
    found = codes(inject(NAMESPACE, deployment(annotations={name: value.strip(",")})))
    assert name in special or [each for each in found if each[0] != "no-effect"] == []


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("kuma.io/sidecar-proxy-concurency", "unknown-annotation"),
        ("traffic.kuma.io/exclude-ports", "unknown-annotation"),
        ("kuma.io/sidecar-injection", "outdated-annotation"),
        ("kuma.io/builtindns", "outdated-annotation"),
        ("kuma.io/ignore", "no-effect"),
        ("kuma.io/transparent-proxying-inbound-port", "no-effect"),
        ("kuma.io/tags", "no-effect"),
    ],
)
def test_an_annotation_that_changes_nothing_is_warned_of(name: str, code: str) -> None:
    done = inject(NAMESPACE, deployment(annotations={name: "15007"}))
    assert codes(done) == [(code, "14")]
    assert done.files[1].is_changed


def test_other_peoples_annotations_are_theirs() -> None:
    assert codes(inject(NAMESPACE, deployment(annotations={"example.com/kuma.io": "x", "notkuma.io/a": "b"}))) == []


def test_a_number_as_an_annotation_is_an_error() -> None:
    text = deployment(annotations={"kuma.io/envoy-admin-port": "9911"}).replace("'9911'", "9911")
    assert codes(inject(NAMESPACE, text)) == [("bad-annotation", "14")]


def test_a_builtin_gateway_is_refused() -> None:
    assert codes(inject(NAMESPACE, deployment(annotations={"kuma.io/gateway": "builtin"}))) == [
        ("bad-annotation", "14")
    ]


def test_a_job_needs_a_native_sidecar_to_end() -> None:
    assert codes(inject(NAMESPACE, _of("Job"))) == [("job-never-ends", "4")]
    assert codes(inject(NAMESPACE, _of("Job"), settings=NATIVE)) == []


def test_variables_of_kumas_sidecar_are_warned_of() -> None:
    done = inject(NAMESPACE, deployment(annotations={"kuma.io/sidecar-env-vars": "KUMA_DNS_ENABLED=false"}))
    assert codes(done) == [("no-effect", "17")]


def test_the_servers_certificate_is_given_as_it_is() -> None:
    pem = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
    assert _env(injected_pod(NAMESPACE, deployment(), settings=replace(DEFAULTS, ca_cert=pem)), f"{RUN}CA_CERT") == pem


def test_what_redirects_may_be_root_where_the_pod_forbids_it_to_the_others() -> None:
    strict = "securityContext: {runAsNonRoot: true, runAsUser: 1000}\n"
    pod = injected_pod(NAMESPACE, deployment(spec=strict))
    assert container(pod, "kuma-init")["securityContext"]["runAsNonRoot"] is False
    assert "runAsNonRoot" not in container(pod)["securityContext"]
    plain = injected_pod(NAMESPACE, deployment())
    assert "runAsNonRoot" not in container(plain, "kuma-init")["securityContext"]
    with_cni = injected_pod(NAMESPACE, deployment(spec=strict), settings=CNI)
    assert "runAsNonRoot" not in container(with_cni, "kuma-validation")["securityContext"]


def test_a_pod_without_a_token_is_not_asked_for_one() -> None:
    """Kuma: such a sidecar should still be able to start."""
    name = f"{RUN}TOKEN_FILE"
    none = "automountServiceAccountToken: false\n"
    assert _env(injected_pod(NAMESPACE, deployment(spec=none)), name) is None
    volume = f"{none}volumes:\n- name: token\n  emptyDir: {{}}\n"
    named = deployment(spec=volume, annotations={"kuma.io/service-account-token-volume": "token"})
    for manifest in (named, deployment(), deployment(spec="automountServiceAccountToken: true\n")):
        assert _env(injected_pod(NAMESPACE, manifest), name) == "/var/run/secrets/kubernetes.io/serviceaccount/token"


def test_comments_in_a_probe_of_another_kind_stay() -> None:
    probe = (
        "readinessProbe: # ready\n  # asked often\n  tcpSocket: # tcp\n    # the port\n    port: 8080 # http\n"
        "  # timing\n  periodSeconds: 3 # three\n"
    )
    text = injected_text(NAMESPACE, deployment(container=probe))
    kept = ("# ready", "# asked often", "httpGet: # tcp", "# the port", "port: 9001 # http", "# timing", "3 # three")
    assert [comment for comment in kept if comment not in text] == []
    found = container(yaml.safe_load(text)["spec"]["template"], "web")["readinessProbe"]
    assert found == {"httpGet": {"path": "/tcp/8080", "port": 9001}, "periodSeconds": 3}
