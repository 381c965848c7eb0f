"""A real Kubernetes on free loopback ports: etcd, API server with RBAC, controllers, scheduler.

kwok plays the kubelets: nodes are Ready and pods run, without any container.

with RunningKubernetes() as cluster:
    core = kubernetes.client.CoreV1Api(cluster.admin)
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import httpx
import kubernetes

from tests.servers import kubernetes_kwok
from tests.servers.envoy import free_ports, wait_until
from tests.servers.kubernetes_certificates import Authority, Pair
from tests.servers.kubernetes_process import Program, tool

ADMINISTRATORS = "system:masters"
APPLIED_WITHIN_S = 60.0
PORTS = ("etcd", "peers", "api", "controllers", "scheduler", "kwok")
Rules = Sequence[Mapping[str, Sequence[str]]]


class RunningKubernetes:
    """One cluster. Its ports, its data and its certificates stay the same over a restart."""

    def __init__(self, *, nodes: int = 2) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="cw-k8s-"))
        self.nodes = tuple(f"node-{number}" for number in range(1, nodes + 1))
        self.authority = Authority(self.folder)
        self._ports = dict(zip(PORTS, free_ports(len(PORTS)), strict=True))
        self.url = f"https://127.0.0.1:{self._ports['api']}"
        self._served = self.authority.server("kubernetes")
        self._tokens = self.authority.key_pair("service-accounts")
        self._closing = ExitStack()
        self.http = self._closing.enter_context(self._client_of(self._person("administrator")))
        self.etcd = self._etcd()
        self.apiserver = self._apiserver()
        self.controllers = self._controllers()
        self.scheduler = self._scheduler()
        self.kwok = self._kwok()

    def __enter__(self) -> Self:
        try:
            for each in (self.etcd, self.apiserver, self.controllers, self.scheduler, self.kwok):
                self._closing.callback(each.kill)
                each.start()
            for name in self.nodes:
                self.create("/api/v1/nodes", kubernetes_kwok.node(name))
            wait_until(self._nodes_are_ready, "the nodes are ready", APPLIED_WITHIN_S)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._closing.close()
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)

    # What tests ask of it.

    @cached_property
    def admin(self) -> kubernetes.client.ApiClient:
        """Return the official client as an administrator."""
        return self.client(self.kubeconfig())

    def client(self, kubeconfig: Mapping[str, Any]) -> kubernetes.client.ApiClient:
        """Return the official client of a kubeconfig. It is closed with the cluster."""
        made: kubernetes.client.ApiClient = kubernetes.config.new_client_from_config_dict(
            dict(kubeconfig)
        )
        self._closing.enter_context(made)
        return made

    def create(self, path: str, document: Mapping[str, Any]) -> dict[str, Any]:
        """Create an object as an administrator and return it; a refusal fails, in its words."""
        answer = self.http.post(path, json=document)
        assert answer.is_success, f"{path}: {answer.status_code} {answer.text}"
        created: dict[str, Any] = answer.json()
        return created

    def namespace(self, name: str) -> str:
        """Create a namespace, and wait for the ServiceAccount that its pods run as."""
        self.create("/api/v1/namespaces", {"metadata": {"name": name}})
        account = f"/api/v1/namespaces/{name}/serviceaccounts/default"
        wait_until(lambda: self.http.get(account).is_success, f"{account}", APPLIED_WITHIN_S)
        return name

    def kubeconfig(self, pair: Pair | None = None, *, token: str = "") -> dict[str, Any]:
        """Return a kubeconfig of an administrator, of a client certificate, or of a token."""
        user: dict[str, str] = {"token": token}
        if not token:
            chosen = pair or self._person("administrator")
            user = {
                "client-certificate": str(chosen.certificate),
                "client-key": str(chosen.key),
            }
        place = {"server": self.url, "certificate-authority": str(self.authority.pair.certificate)}
        return {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "test", "cluster": place}],
            "users": [{"name": "test", "user": user}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
            "current-context": "test",
        }

    def person(self, name: str, namespace: str | None = None, rules: Rules = ()) -> dict[str, Any]:
        """Return a kubeconfig of a user who may do only this, in one namespace or (None) in all."""
        subject = {"kind": "User", "name": name, "apiGroup": "rbac.authorization.k8s.io"}
        self._grant(name, namespace, rules, subject)
        return self.kubeconfig(self.authority.person(name))

    def service_account(self, name: str, namespace: str, rules: Rules = ()) -> dict[str, Any]:
        """Return a kubeconfig of a new ServiceAccount with a Role of these rules there."""
        accounts = f"/api/v1/namespaces/{namespace}/serviceaccounts"
        self.create(accounts, {"metadata": {"name": name}})
        subject = {"kind": "ServiceAccount", "name": name, "namespace": namespace}
        self._grant(name, namespace, rules, subject)
        return self.kubeconfig(token=self.token(name, namespace))

    def token(self, service_account: str, namespace: str, *, lives_s: int = 3600) -> str:
        """Return a token of a ServiceAccount, at least 600 s long, through the TokenRequest API."""
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{service_account}/token"
        asked = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {"expirationSeconds": lives_s},
        }
        return str(self.create(path, asked)["status"]["token"])

    def write_kubeconfig(self, name: str, kubeconfig: Mapping[str, Any]) -> Path:
        """Write a kubeconfig (JSON is YAML too) that only this user may read."""
        path = self.folder / f"{name}.kubeconfig"
        path.touch(mode=0o600)
        path.write_text(json.dumps(kubeconfig))
        return path

    # Its programs.

    def _etcd(self) -> Program:
        clients = f"http://127.0.0.1:{self._ports['etcd']}"
        peers = f"http://127.0.0.1:{self._ports['peers']}"
        return Program(
            [
                tool("etcd"),
                f"--data-dir={self.folder / 'etcd'}",
                f"--listen-client-urls={clients}",
                f"--advertise-client-urls={clients}",
                f"--listen-peer-urls={peers}",
                f"--initial-advertise-peer-urls={peers}",
                f"--initial-cluster=default={peers}",
                "--unsafe-no-fsync",  # it need not survive this machine
                "--log-level=warn",
            ],
            folder=self.folder,
            is_ready=lambda: httpx.get(f"{clients}/health", trust_env=False).is_success,
        )

    def _apiserver(self) -> Program:
        return Program(
            [
                tool("kube-apiserver"),
                f"--etcd-servers=http://127.0.0.1:{self._ports['etcd']}",
                "--bind-address=127.0.0.1",
                f"--secure-port={self._ports['api']}",
                *self._serving(),
                f"--client-ca-file={self.authority.pair.certificate}",
                "--authorization-mode=RBAC",
                f"--service-account-key-file={self._tokens.certificate}",
                f"--service-account-signing-key-file={self._tokens.key}",
                "--service-account-issuer=https://kubernetes.default.svc",
                "--service-cluster-ip-range=10.96.0.0/16",
                # Nothing runs inside the cluster, and Kubernetes refuses 127.0.0.1 as an endpoint.
                "--endpoint-reconciler-type=none",
                "--profiling=false",
            ],
            folder=self.folder,
            is_ready=lambda: self.http.get("/readyz").is_success,
        )

    def _controllers(self) -> Program:
        return Program(
            [
                tool("kube-controller-manager"),
                f"--kubeconfig={self._kubeconfig_of('system:kube-controller-manager')}",
                "--bind-address=127.0.0.1",
                f"--secure-port={self._ports['controllers']}",
                *self._serving(),
                f"--service-account-private-key-file={self._tokens.key}",
                f"--root-ca-file={self.authority.pair.certificate}",
                "--use-service-account-credentials",
                "--leader-elect=false",
                "--profiling=false",
            ],
            folder=self.folder,
            is_ready=self._health_of("controllers"),
        )

    def _scheduler(self) -> Program:
        return Program(
            [
                tool("kube-scheduler"),
                f"--kubeconfig={self._kubeconfig_of('system:kube-scheduler')}",
                "--bind-address=127.0.0.1",
                f"--secure-port={self._ports['scheduler']}",
                *self._serving(),
                "--leader-elect=false",
                "--profiling=false",
            ],
            folder=self.folder,
            is_ready=self._health_of("scheduler"),
        )

    def _kwok(self) -> Program:
        stages = self.folder / "kwok.yaml"
        stages.write_text(kubernetes_kwok.STAGES)
        address = f"127.0.0.1:{self._ports['kwok']}"
        return Program(
            [
                tool("kwok"),
                f"--kubeconfig={self._kubeconfig_of('kwok', ADMINISTRATORS)}",
                f"--config={stages}",
                "--manage-all-nodes",
                "--node-lease-duration-seconds=40",
                f"--server-address={address}",
            ],
            folder=self.folder,
            is_ready=lambda: httpx.get(f"http://{address}/healthz", trust_env=False).is_success,
        )

    def _serving(self) -> tuple[str, str]:
        return (
            f"--tls-cert-file={self._served.certificate}",
            f"--tls-private-key-file={self._served.key}",
        )

    def _health_of(self, name: str) -> Callable[[], bool]:
        url = f"https://127.0.0.1:{self._ports[name]}/healthz"
        trusted = self.authority.trusted()
        return lambda: httpx.get(url, verify=trusted, trust_env=False).is_success

    # Its people.

    def _person(self, name: str) -> Pair:
        made = Pair(self.folder / f"{name}.crt", self.folder / f"{name}.key")
        return made if made.key.exists() else self.authority.person(name, (ADMINISTRATORS,))

    def _kubeconfig_of(self, name: str, *groups: str) -> Path:
        pair = self.authority.person(name, groups)
        return self.write_kubeconfig(name.replace(":", "-"), self.kubeconfig(pair))

    def _client_of(self, pair: Pair) -> httpx.Client:
        trusted = self.authority.trusted()
        trusted.load_cert_chain(pair.certificate, pair.key)
        return httpx.Client(base_url=self.url, verify=trusted, trust_env=False, timeout=30)

    def _grant(
        self, name: str, namespace: str | None, rules: Rules, subject: Mapping[str, str]
    ) -> None:
        if not rules:
            return
        group = "rbac.authorization.k8s.io"
        kind = "Role" if namespace else "ClusterRole"
        path = f"/apis/{group}/v1/" + (f"namespaces/{namespace}/" if namespace else "")
        named = {"metadata": {"generateName": f"{name}-"}}
        role = self.create(f"{path}{kind.lower()}s", {**named, "rules": list(rules)})
        bound = {
            "roleRef": {"apiGroup": group, "kind": kind, "name": role["metadata"]["name"]},
            "subjects": [subject],
        }
        self.create(f"{path}{kind.lower()}bindings", {**named, **bound})

    def _nodes_are_ready(self) -> bool:
        found = self.http.get("/api/v1/nodes").raise_for_status().json()["items"]
        ready = [
            node["metadata"]["name"]
            for node in found
            for condition in node["status"].get("conditions", ())
            if (condition["type"], condition["status"]) == ("Ready", "True")
        ]
        return set(ready) == set(self.nodes)
