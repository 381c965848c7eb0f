"""All that Chaos Mesh can inject: one fault for each action of each kind."""

from __future__ import annotations

from drivers.chaosmesh import (
    block,
    cloud,
    dns,
    http,
    io,
    jvm,
    kernel,
    machine_files,
    machine_jvm,
    machine_network,
    machine_stores,
    machine_system,
    network,
    pod,
    stress,
    time_,
)
from drivers.chaosmesh.common import ChaosFault

FAULTS: tuple[type[ChaosFault], ...] = (
    *pod.FAULTS,
    *network.FAULTS,
    *http.FAULTS,
    *stress.FAULTS,
    *io.FAULTS,
    *time_.FAULTS,
    *dns.FAULTS,
    *jvm.FAULTS,
    *block.FAULTS,
    *kernel.FAULTS,
    *cloud.FAULTS,
    *machine_network.FAULTS,
    *machine_system.FAULTS,
    *machine_files.FAULTS,
    *machine_jvm.FAULTS,
    *machine_stores.FAULTS,
)
"""What this backend can inject; each names its kind of object (``resource``) and its action."""

RESOURCES: tuple[str, ...] = tuple(dict.fromkeys(fault.resource for fault in FAULTS))
"""The kinds of objects, ``PodChaos`` first."""
