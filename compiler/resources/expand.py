"""A DataplaneSet with instances stands for one Dataplane each."""

from collections.abc import Iterator, Mapping
from functools import lru_cache

from msgspec.structs import replace

from compiler.resources.envelope import Envelope
from compiler.resources.labels import compute_labels, tagged_zone
from compiler.resources.model import (
    DISPLAY_NAME,
    ZONE,
    Dataplane,
    DataplaneSet,
    Instance,
    Networking,
    Resource,
    ResourceKey,
)
from compiler.resources.resource_set import Placement
from compiler.resources.zone_tags import tag_networking


def expand_instances(envelope: Envelope, dataplanes: DataplaneSet) -> Iterator[tuple[Resource, Placement]]:
    """The Dataplanes, named `<set>-<instance>`; with registration there are none, since the set is compiled as one."""
    template = dataplanes.template
    computed = dict(compute_labels(envelope, {}))
    computed.setdefault(ZONE, tagged_zone(Dataplane(template.networking).tag_sets))
    zoned: dict[str, Networking] = {}
    for index, instance in enumerate(dataplanes.instances):
        labels = _labels(envelope, instance, computed)
        zone = labels.get(ZONE, "")
        if zone not in zoned:
            zoned[zone] = tag_networking(template.networking, zone) if zone else template.networking
        spec = Dataplane(replace(zoned[zone], address=instance.address), template.metrics, template.probes)
        yield Resource(_key(envelope, instance), labels, spec), place_instance(index)


@lru_cache(maxsize=1024)
def place_instance(index: int) -> Placement:
    """An instance's Dataplane stands in the template, but for itself and its address; the n-th of all sets share it."""
    here = f"/spec/instances/{index}"
    return Placement("/spec/template", {"": here, "/networking/address": f"{here}/address"})


def _key(envelope: Envelope, instance: Instance) -> ResourceKey:
    suffix = f".{envelope.namespace}" if envelope.namespace else ""
    return ResourceKey("Dataplane", envelope.mesh, f"{envelope.name}-{instance.name}{suffix}")


def _labels(envelope: Envelope, instance: Instance, computed: Mapping[str, str]) -> Mapping[str, str]:
    labels = {**computed, **instance.labels, DISPLAY_NAME: f"{envelope.name}-{instance.name}"}
    if instance.zone:
        labels[ZONE] = instance.zone
    return dict(sorted((label, value) for label, value in labels.items() if label != ZONE or value))
