"""Two real Envoys in the mesh from the connect storm to the end of a run: they must never refuse anything."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from benchmarks import probe
from benchmarks.measure import Measurement
from benchmarks.stage import PATIENCE, Stage

ABSENT = "no Envoy found: simulated proxies alone"


@contextmanager
def witnessing(stage: Stage) -> Iterator[None]:
    """They are started and not waited for, so that they connect among the others; without an Envoy nothing happens."""
    binary = probe.look_for_envoy()
    if binary is None:
        yield
        return
    with ExitStack() as stack:
        ports = stack.enter_context(probe.serving())
        stage.commit_and_wait(probe.write_probe(ports), "add the probe")
        stack.enter_context(probe.running_envoys(binary, stage.folder, stage.daemon.xds))
        stage.witnesses = ports
        yield
        stage.witnesses = None


def report_refusals(stage: Stage) -> Measurement:
    """All that was refused since the daemon's start, and what stands refused now; simulated proxies refuse nothing.

    Raises TimeoutError where an Envoy does not come to hold what it should.
    """
    title = "real Envoys beside the others, all along"
    if stage.witnesses is None:
        return Measurement("Envoys", title, (0.0,), 0.0, notes=(ABSENT,))
    status = stage.daemon.wait_for(probe.holds_all, PATIENCE, query=probe.QUERY)
    refusals = stage.daemon.count_refusals() + len(probe.list_refusals(status))
    return Measurement("Envoys", title, (0.0,), 0.0, counters={"real Envoys": len(probe.NODES), "refusals": refusals})
