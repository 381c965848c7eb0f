"""What Chaos Mesh takes and understands otherwise, each refused with words that help.

The list follows the sections of Chaos Mesh's own objects; ``docs/chaosmesh.md`` names the rules.
"""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from drivers.chaosmesh import reading
from drivers.chaosmesh.common import ChaosFault
from drivers.chaosmesh.faults import FAULTS
from tests.drivers.chaosmesh.parameters import EVERY, WEB

CATALOGUE: dict[str, type[ChaosFault]] = {fault.kind: fault for fault in FAULTS}

Case = tuple[str, dict[str, Any], str, str]
"""The fault, what is changed of its fewest parameters, where the error is, words of it."""

SELECTORS: list[tuple[dict[str, Any], str]] = [
    ({}, "names no namespace"),
    ({"labels": {"app": "web"}}, "names no namespace"),
    ({"namespaces": [], "labels": {"app": "web"}}, "names no namespace"),
    ({"namespaces": ["shop"]}, "whole_namespace: true"),
    ({"namespaces": ["shop"], "phases": ["Running"]}, "whole_namespace: true"),
    (WEB | {"whole_namespace": True}, "labels narrow the choice"),
    ({"pods": ["shop/web-0"], "namespaces": ["shop"]}, "would ignore namespaces"),
    ({"pods": ["shop/web-0"], "labels": {"a": "b"}}, "would ignore labels"),
    ({"pods": ["shop/web-0"], "phases": ["Running"]}, "would ignore phases"),
    ({"pods": ["shop/web-0"], "whole_namespace": True}, "would ignore whole_namespace"),
    ({"pods": ["web-0"]}, "write namespace/name"),
    ({"pods": ["shop/web-0", "shop/web-0"]}, "there twice"),
    (WEB | {"namespaces": ["Shop"]}, "cannot be the name of a namespace"),
    (WEB | {"namespaces": ["shop", "shop"]}, "there twice"),
    (WEB | {"labels": {"app": "not a value"}}, "cannot be the value of a label"),
    (WEB | {"labels": {"/x": "y"}}, "cannot be the key of a label"),
    (WEB | {"annotations": {"note": "two words"}}, "selectors compare only such"),
    (WEB | {"fields": {"status.hostIP": "1.1.1.1"}}, "no field that pods are selected by"),
    (WEB | {"fields": {"status.podIP": "1.1.1.1,a=b"}}, "cannot be the value of status.podIP"),
    (WEB | {"expressions": ["tier in ()"]}, "needs values"),
    (WEB | {"expressions": ["tier like x"]}, "is no expression"),
    (WEB | {"phases": ["running"]}, "Input should be 'Pending'"),
    (WEB | {"nodes": ["not a node"]}, "cannot be the name of a node"),
    (WEB | {"app": "web"}, "Extra inputs"),
]

MODES: list[tuple[dict[str, Any], str]] = [
    ({"mode": "fixed"}, "needs how many"),
    ({"mode": "fixed-percent"}, "needs how many"),
    ({"mode": "random-max-percent", "value": 101}, "from 1 to 100"),
    ({"mode": "fixed", "value": 0}, "greater than or equal to 1"),
    ({"mode": "fixed", "value": 2.5}, "valid integer"),
    ({"mode": "one", "value": 1}, "has no meaning with the mode one"),
    ({"mode": "all", "value": 100}, "has no meaning with the mode all"),
    ({"mode": "some"}, "Input should be 'one'"),
]

CASES: list[Case] = [
    ("pod_kill", {"grace_period": -1}, "grace_period", "greater than or equal to 0"),
    ("pod_kill", {"remote_cluster": "Not a name"}, "remote_cluster", "name of an object"),
    ("container_kill", {"containers": []}, "containers", "at least 1"),
    ("container_kill", {"containers": None}, "containers", "valid tuple"),
    # network
    ("network_delay", {"latency": None}, "latency", "is not a duration"),
    ("network_delay", {"latency": "0s"}, "latency", "outside 1us–1h"),
    ("network_delay", {"latency": "-5ms"}, "latency", "outside 1us–1h"),
    ("network_delay", {"latency": "2h"}, "latency", "outside 1us–1h"),
    ("network_delay", {"latency": "0.5us"}, "latency", "finer than a microsecond"),
    ("network_delay", {"jitter": "-1ms"}, "jitter", "outside 0s–1h"),
    ("network_delay", {"correlation": "250%"}, "correlation", "outside 0–100 %"),
    ("network_delay", {"reorder": {"reorder": "0%"}}, "reorder.reorder", "0 excluded"),
    ("network_delay", {"loss": "1%"}, "loss", "Extra inputs"),
    ("network_loss", {"loss": "250%"}, "loss", "outside 0–100 %"),
    ("network_loss", {"loss": "0%"}, "loss", "0 excluded"),
    ("network_loss", {"loss": "-1%"}, "loss", "outside 0–100 %"),
    ("network_loss", {"loss": "0.00001%"}, "loss", "too fine"),
    ("network_duplicate", {"duplicate": "101%"}, "duplicate", "outside 0–100 %"),
    ("network_corrupt", {"corrupt": "nan%"}, "corrupt", "not a percentage"),
    ("network_netem", {"rate": None}, "", "does nothing"),
    ("network_delay", {"direction": "from"}, "target", "needs a target"),
    ("network_partition", {"direction": "both"}, "target", "needs a target"),
    (
        "network_delay",
        {"direction": "both", "target": {"selector": WEB}, "external_targets": ["1.1.1.1"]},
        "external_targets",
        "can only be sent to",
    ),
    ("network_delay", {"target": {"selector": {}}}, "target.selector", "names no namespace"),
    ("network_delay", {"target": {"selector": WEB, "mode": "fixed"}}, "target.value", "how many"),
    ("network_delay", {"target": {"mode": "all"}}, "target.selector", "required"),
    ("network_delay", {"external_targets": ["::1"]}, "external_targets.0", "no IPv4 address"),
    ("network_delay", {"external_targets": ["1.1.1.256"]}, "external_targets.0", "no IPv4"),
    ("network_delay", {"external_targets": ["a.b:0"]}, "external_targets.0", "no IPv4 address"),
    ("network_delay", {"external_targets": ["http://a"]}, "external_targets.0", "no IPv4"),
    ("network_delay", {"device": "eth0@if7"}, "device", "would be cut at its @"),
    ("network_delay", {"target_device": "eth0"}, "target_device", "there is none"),
    ("network_bandwidth", {"rate": None}, "rate", "valid string"),
    ("network_bandwidth", {"rate": "10"}, "rate", "is no rate"),
    ("network_bandwidth", {"rate": "1.5mbit"}, "rate", "is no rate"),
    ("network_bandwidth", {"rate": "0mbit"}, "rate", "lets nothing through"),
    ("network_bandwidth", {"rate": "9999999999tbps"}, "rate", "more than can be counted"),
    ("network_bandwidth", {"limit": 0}, "limit", "greater than or equal to 1"),
    ("network_bandwidth", {"buffer": 2**31}, "buffer", "less than or equal to"),
    ("network_bandwidth", {"peakrate": 5}, "minburst", "give both or neither"),
    ("network_bandwidth", {"minburst": 5}, "minburst", "give both or neither"),
    # files
    ("io_latency", {"delay": None}, "delay", "is not a duration"),
    ("io_latency", {"volume_path": "data"}, "volume_path", "absolute path"),
    ("io_latency", {"percent": 0}, "percent", "from 1% to 100%"),
    ("io_latency", {"percent": "0.5%"}, "percent", "whole percentage"),
    ("io_latency", {"percent": "101%"}, "percent", "from 1% to 100%"),
    ("io_latency", {"methods": ["reed"]}, "methods.0", "Input should be"),
    ("io_fault", {"errno": 0}, "errno", "greater than or equal to 1"),
    ("io_attr_override", {"attr": {}}, "attr", "overrides nothing"),
    ("io_mistake", {"max_length": 0}, "max_length", "greater than or equal to 1"),
    ("io_mistake", {"filling": "ones"}, "filling", "Input should be"),
    # HTTP
    ("http_abort", {"port": 0}, "port", "greater than or equal to 1"),
    ("http_abort", {"port": 65536}, "port", "less than or equal to 65535"),
    ("http_abort", {"port": None}, "port", "valid integer"),
    ("http_abort", {"method": "FETCH"}, "method", "Input should be"),
    ("http_abort", {"code": 200}, "code", "only of answers"),
    ("http_abort", {"response_headers": {"a": "b"}}, "response_headers", "only of answers"),
    ("http_abort", {"request_headers": {"a b": "c"}}, "request_headers", "name of a header"),
    ("http_delay", {"delay": "-1s"}, "delay", "outside 1us–1h"),
    ("http_replace", {"replace": {}}, "replace", "changes nothing"),
    ("http_replace", {"replace": {"code": 503}}, "replace", "Requests have no code"),
    ("http_replace", {"target": "Response"}, "replace", "Responses have no path"),
    ("http_patch", {"patch": {}}, "patch", "changes nothing"),
    ("http_patch", {"patch": {"body": "{"}}, "patch.body", "is no JSON"),
    ("http_patch", {"patch": {"headers": ["no colon"]}}, "patch.headers.0", "match pattern"),
    ("http_patch", {"target": "Response"}, "patch", "Responses have no queries"),
    ("http_several", {"delay": None}, "", "needs two of"),
    # stress
    ("stress_cpu", {"workers": 0}, "workers", "greater than or equal to 1"),
    ("stress_cpu", {"workers": -1}, "workers", "greater than or equal to 1"),
    ("stress_cpu", {"workers": 8193}, "workers", "less than or equal to 8192"),
    ("stress_cpu", {"load": 0}, "load", "greater than or equal to 1"),
    ("stress_memory", {"size": "110%"}, "size", "from 1% to 100%"),
    ("stress_memory", {"size": "0.5%"}, "size", "whole percentage"),
    ("stress_memory", {"size": "some"}, "size", "is no size"),
    ("stress_memory", {"size": "0.1B"}, "size", "whole number of bytes"),
    ("stress_memory", {"oom_score": 1001}, "oom_score", "less than or equal to 1000"),
    ("stress_ng", {"arguments": "rm -rf"}, "", "must be options"),
    ("stress_ng", {"arguments": " "}, "arguments", "is missing"),
    # clocks, names, Java, devices, kernel
    ("time_skew", {"offset": "0s"}, "offset", "must not be 0"),
    ("time_skew", {"offset": "200000d"}, "offset", "hundred years"),
    ("time_skew", {"clocks": []}, "clocks", "at least 1"),
    ("time_skew", {"clocks": ["CLOCK_TAI"]}, "clocks.0", "Input should be"),
    ("dns_error", {"patterns": ["*.example.org"]}, "patterns.0", "at the end only"),
    ("jvm_latency", {"latency": "0.5ms"}, "latency", "whole milliseconds"),
    ("jvm_latency", {"class_name": ""}, "class_name", "is missing"),
    ("jvm_latency", {"port": 0}, "port", "greater than or equal to 1"),
    ("jvm_stress", {"memory_type": "heap"}, "memory_type", "not both"),
    ("jvm_stress", {"cpu_count": None}, "memory_type", "give either"),
    ("jvm_rule_data", {"rule_data": ""}, "rule_data", "at least 1"),
    ("jvm_mysql", {"exception": "x"}, "latency", "not both"),
    ("jvm_mysql", {"latency": None}, "latency", "give either"),
    ("jvm_mysql", {"connector": "7"}, "connector", "Input should be"),
    ("block_delay", {"latency": None}, "latency", "is not a duration"),
    ("block_delay", {"volume": ""}, "volume", "cannot be the name"),
    ("kernel_fault", {"probability": 0}, "probability", "greater than or equal to 1"),
    # clouds
    ("detach_volume", {"device": ""}, "device", "is missing"),
    ("ec2_restart", {"endpoint": "https://x"}, "endpoint", "Extra inputs"),
    ("ec2_stop", {"instance": "web-1"}, "instance", "match pattern"),
    ("disk_loss", {"devices": []}, "devices", "at least 1"),
    ("disk_detach", {"lun": None}, "lun", "valid integer"),
    ("vm_stop", {"secret": None}, "secret", "valid string"),
    # machines
    ("machine_vm", {"selector": None}, "", "either a selector of machines or addresses"),
    ("machine_vm", {"addresses": ["10.0.0.1:1"]}, "", "not both"),
    ("machine_vm", {"selector": None, "addresses": [""]}, "addresses.0", "no address of chaosd"),
    ("machine_vm", {"selector": {}}, "selector", "names no namespace"),
    ("machine_vm", {"selector": {"namespaces": ["a"]}}, "selector", "whole_namespace: true"),
    (
        "machine_vm",
        {"selector": {"machines": ["a/b"], "namespaces": ["a"]}},
        "selector",
        "would ignore all else",
    ),
    ("machine_vm", {"mode": "fixed"}, "value", "needs how many"),
    ("machine_stress_cpu", {"load": 0}, "load", "greater than or equal to 1"),
    ("machine_stress_mem", {"size": "1000.5kB"}, "size", "whole number of kB or KiB"),
    ("machine_disk_fill", {"size": "0MB"}, "size", "more than nothing"),
    ("machine_disk_read_payload", {"processes": 256}, "processes", "less than or equal to 255"),
    ("machine_network_loss", {"percent": "0%"}, "percent", "0 excluded"),
    ("machine_network_loss", {"device": ""}, "device", "is missing"),
    ("machine_network_loss", {"source_port": "0"}, "source_port", "from 1 to 65535"),
    ("machine_network_loss", {"source_port": "80"}, "", "need the protocol tcp or udp"),
    ("machine_network_delay", {"tcp_flags": "SYN"}, "tcp_flags", "only with the protocol tcp"),
    ("machine_network_partition", {"hostname": None}, "", "a host or an IP address"),
    ("machine_network_partition", {"direction": "both"}, "direction", "Input should be"),
    ("machine_network_dns", {"domain": "a.b"}, "", "or neither"),
    ("machine_network_dns", {"dns_server": None}, "", "changes nothing"),
    ("machine_network_flood", {"ip_address": "nowhere"}, "ip_address", "no IP address"),
    ("machine_process", {"signal": 0}, "signal", "greater than or equal to 1"),
    ("machine_clock", {"pid": 0}, "pid", "greater than or equal to 1"),
    ("machine_file_create", {"directory": "/srv"}, "", "not both"),
    ("machine_file_create", {"file": None}, "", "either a file or a directory"),
    ("machine_file_modify", {"privilege": 888}, "privilege", "0 to 7"),
    ("machine_redis_expiration", {"option": "XX"}, "option", "Extra inputs"),
    ("machine_redis_cache_limit", {"percent": "5%"}, "", "not both"),
    ("machine_redis_penetration", {"requests": 0}, "requests", "greater than or equal to 1"),
    ("machine_kafka_io", {"unreadable": False}, "", "changes nothing"),
    ("machine_user_defined", {"recover": ""}, "recover", "is missing"),
]


def refusals(kind: str, changes: dict[str, Any]) -> dict[str, str]:
    raw = {**EVERY[f"chaosmesh.{kind}"][0], **changes}
    with pytest.raises(ValidationError) as caught:
        CATALOGUE[f"chaosmesh.{kind}"].model_validate(raw)
    return {
        ".".join(map(str, error["loc"])): error["msg"]
        for error in caught.value.errors(include_url=False)
    }


@pytest.mark.parametrize(("kind", "changes", "where", "words"), CASES)
def test_what_would_mean_something_else_is_refused(
    kind: str, changes: dict[str, Any], where: str, words: str
) -> None:
    found = refusals(kind, changes)
    assert set(found) == {where}
    assert words in found[where]


@pytest.mark.parametrize(("selector", "words"), SELECTORS)
def test_a_selector_that_means_more_than_it_says_is_refused(
    selector: dict[str, Any], words: str
) -> None:
    ((where, told),) = refusals("pod_kill", {"selector": selector}).items()
    assert where.startswith("selector")
    assert words in told


@pytest.mark.parametrize(("changes", "words"), MODES)
def test_how_many_fits_the_mode(changes: dict[str, Any], words: str) -> None:
    assert any(words in told for told in refusals("pod_kill", changes).values())


@pytest.mark.parametrize("kind", CATALOGUE)
def test_a_duration_is_no_parameter(kind: str) -> None:
    found = refusals(kind.removeprefix("chaosmesh."), {"duration": "30s"})
    assert found == {"duration": "Extra inputs are not permitted"}


SPECS: list[tuple[str, dict[str, Any], str, str]] = [
    ("PodChaos", {"action": "pod-eat"}, "spec.action", "pod-kill, pod-failure, container-kill"),
    ("PodChaos", {"action": ["pod-kill"]}, "spec.action", "no action of PodChaos"),
    ("NetworkChaos", {"action": "delay", "mode": "one"}, "spec.delay.latency", "is missing"),
    ("NetworkChaos", {"action": "bandwidth"}, "spec.bandwidth.rate", "is missing"),
    (
        "NetworkChaos",
        {"action": "loss", "loss": {"loss": "250"}},
        "spec.loss.loss",
        "outside 0–100 %",
    ),
    (
        "NetworkChaos",
        {"action": "loss", "loss": {"loss": "much"}},
        "spec.loss.loss",
        "no percentage",
    ),
    ("HTTPChaos", {"port": 80, "target": "Request"}, "spec", "does nothing"),
    ("StressChaos", {"stressors": {}}, "spec.stressors", "cpu, memory or both"),
    ("JVMChaos", {"action": "latency", "ruleData": "RULE"}, "spec.ruleData", "takes the place"),
    ("PhysicalMachineChaos", {"action": "http-abort"}, "spec.action", "Chaos Mesh itself refuses"),
    ("PodChaos", {"action": "pod-failure", "duration": "soon"}, "spec.duration", "no duration"),
    ("PodChaos", {"action": "pod-failure", "duration": "-5s"}, "spec.duration", "no duration"),
    ("PodChaos", {"action": "pod-failure", "mode": "fixed"}, "spec.value", "needs how many"),
    (
        "PodChaos",
        {"action": "pod-failure", "mode": "fixed", "value": 2},
        "spec.value",
        "written as a text",
    ),
    ("IOChaos", {"action": "latency", "volumePath": "/a"}, "spec.delay", "is missing"),
    ("TimeChaos", {"timeOffset": "yesterday"}, "spec.timeOffset", "no duration of Go"),
    (
        "PhysicalMachineChaos",
        {"action": "stress-mem", "stress-mem": {"size": "100"}},
        "spec.stress-mem.size",
        "needs a unit",
    ),
]


@pytest.mark.parametrize(("kind", "spec", "where", "words"), SPECS)
def test_a_manifest_that_means_something_else_is_refused_at_its_place(
    kind: str, spec: dict[str, Any], where: str, words: str
) -> None:
    selector: dict[str, Any] = {"labelSelectors": {"app": "web"}, "namespaces": ["shop"]}
    given = {"selector": selector, "mode": "one", **spec}
    read = reading.read({"apiVersion": "chaos-mesh.org/v1alpha1", "kind": kind, "spec": given})
    assert read.fault == ""
    told = {".".join(map(str, each.path)): each.words for each in read.errors}
    assert words in told[where]


LOSSES: list[tuple[str, dict[str, Any], str, str, str]] = [
    ("PodChaos", {"action": "pod-kill", "value": "5"}, "lost", "spec.value", "has none"),
    ("PodChaos", {"action": "pod-kill", "duration": "5s"}, "lost", "spec.duration", "ignores it"),
    (
        "PodChaos",
        {"action": "pod-kill", "containerNames": ["web"]},
        "lost",
        "spec.containerNames",
        "no meaning",
    ),
    ("PodChaos", {"action": "pod-kill", "scheduler": {"cron": "@daily"}}, "lost",
     "spec.scheduler", "no meaning"),
    (
        "NetworkChaos",
        {"action": "delay", "delay": {"latency": "1s"}, "loss": {"loss": "1"}},
        "changed",
        "spec.action",
        "becomes netem",
    ),
    ("JVMChaos", {"action": "gc", "pid": 7}, "lost", "spec.pid", "no meaning"),
    (
        "StressChaos",
        {"stressngStressors": "--cpu 1", "stressors": {"cpu": {"workers": 1}}},
        "lost",
        "spec.stressors",
        "no meaning",
    ),
    (
        "StressChaos",
        {"stressors": {"memory": {"workers": 1, "size": "1GiB"}}},
        "changed",
        "spec.stressors.memory.size",
        "1073741824B",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "spec", "book", "where", "words"), LOSSES)
def test_what_is_not_kept_is_told(
    kind: str, spec: dict[str, Any], book: str, where: str, words: str
) -> None:
    selector: dict[str, Any] = {"labelSelectors": {"app": "web"}, "namespaces": ["shop"]}
    given = {"selector": selector, "mode": "one", **spec}
    read = reading.read({"apiVersion": "chaos-mesh.org/v1alpha1", "kind": kind, "spec": given})
    assert read.errors == ()
    told = {".".join(map(str, each.path)): each.words for each in getattr(read, book)}
    assert words in told[where]
