"""How a connection gets in to a cluster: where its API server is, whom it trusts, who we are.

Options of the connection: ``access`` is ``kubeconfig``, ``token`` or ``in_cluster``; a kubeconfig
has ``context`` (its own current one if empty), a token ``server``, and ``ca`` (PEM; the system's
authorities if empty). Secrets: ``kubeconfig`` (the file's text), or ``token``.

Nothing in a kubeconfig may run a program or name a file: who may enter connections is not thereby
at home on our machine. What is left are six fields, which are read here; the library of Kubernetes
would write keys to files that stay until the process ends.
"""

from __future__ import annotations

import base64
import binascii
import ssl
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import yaml
from kubernetes.client.configuration import Configuration
from kubernetes.config import ConfigException, load_incluster_config

from drivers.protocol import ConnectionConfig, DriverError

MAX_KUBECONFIG_BYTES = 256 * 1024
_FLATTEN = "Write it with `kubectl config view --minify --flatten --raw`."
_RUNS = ("exec", "auth-provider")
_FILES = ("tokenFile", "client-certificate", "client-key", "certificate-authority")


class AccessRefusedError(DriverError):
    """The connection's options or credentials cannot be used; only a person can mend it."""


@dataclass(frozen=True)
class Access:
    """What a client needs: the server's address, the TLS settings, and today's headers."""

    server: str
    trust: ssl.SSLContext
    server_name: str
    headers: Callable[[], Mapping[str, str]]
    """Asked for each request, as tokens of a pod are replaced every hour."""

    def client(self) -> httpx.Client:
        """Open a client. Proxies of our environment do not stand between us and a cluster."""
        return httpx.Client(
            base_url=self.server,
            verify=self.trust,
            trust_env=False,
            limits=httpx.Limits(max_connections=20, keepalive_expiry=30),
        )


def read(config: ConnectionConfig) -> Access:
    """Return the access that a connection's options and secrets mean. Raises AccessRefusedError."""
    kind = str(config.options.get("access") or "kubeconfig")
    if kind == "in_cluster":
        return _in_cluster()
    if kind == "token":
        return _by_token(config)
    if kind == "kubeconfig":
        return _by_kubeconfig(config)
    raise AccessRefusedError(
        f"“{kind}” is no way in to a cluster.", hint="It is kubeconfig, token or in_cluster."
    )


def contexts(text: str) -> dict[str, Any]:
    """Return a kubeconfig's content once nothing in it runs a program or names a file.

    Raises AccessRefusedError.
    """
    if not text.strip():
        raise AccessRefusedError("There is no kubeconfig.", hint=_FLATTEN)
    if len(text) > MAX_KUBECONFIG_BYTES or "*" in text:
        raise AccessRefusedError("The kubeconfig is too large, or holds aliases.", hint=_FLATTEN)
    try:
        content = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise AccessRefusedError(f"The kubeconfig is no YAML: {_said(error)}.") from error
    if not isinstance(content, dict) or not isinstance(content.get("contexts"), list):
        raise AccessRefusedError("The text is no kubeconfig: it has no contexts.", hint=_FLATTEN)
    for name, part in (*_named(content, "users", "user"), *_named(content, "clusters", "cluster")):
        for key in _RUNS:
            if key in part:
                raise AccessRefusedError(
                    f"{name} would run a program to sign in ({key}).",
                    hint="Give a service account's token instead; ChaosWeb runs no programs of "
                    "kubeconfigs.",
                )
        for key in _FILES:
            if key in part:
                raise AccessRefusedError(f"{name} names a file ({key}).", hint=_FLATTEN)
        if "proxy-url" in part:
            raise AccessRefusedError(f"{name} asks for a proxy, which is not supported.")
    return content


def _named(content: Mapping[str, Any], many: str, one: str) -> list[tuple[str, Mapping[str, Any]]]:
    """Return the named parts of a kubeconfig. Raises AccessRefusedError for one that is none."""
    found: list[tuple[str, Mapping[str, Any]]] = []
    for entry in content.get(many) or []:
        part = entry.get(one) if isinstance(entry, dict) else None
        if not isinstance(part, dict):
            raise AccessRefusedError(f"The kubeconfig's {many} are not as they should be.")
        found.append((f"{one.capitalize()} “{entry.get('name', '?')}”", part))
    return found


def _by_kubeconfig(config: ConnectionConfig) -> Access:
    content = contexts(config.secrets.get("kubeconfig", ""))
    name = str(config.options.get("context") or content.get("current-context") or "")
    chosen = _one(content, "contexts", "context", name)
    cluster = _one(content, "clusters", "cluster", str(chosen.get("cluster")))
    user = _one(content, "users", "user", str(chosen.get("user")))
    trust = _trust(_decoded(cluster, "certificate-authority-data"))
    if cluster.get("insecure-skip-tls-verify") is True:
        trust.check_hostname = False
        trust.verify_mode = ssl.CERT_NONE
    certificate, key = (_decoded(user, f"client-{each}-data") for each in ("certificate", "key"))
    if certificate and key:
        _present(trust, certificate, key)
    token = str(user.get("token") or "").strip()
    if not token and not (certificate and key):
        raise AccessRefusedError(
            "The kubeconfig's user has neither token nor client certificate.", hint=_FLATTEN
        )
    signed = {"authorization": f"Bearer {token}"} if token else {}
    server_name = str(cluster.get("tls-server-name") or "")
    return Access(_address(str(cluster.get("server") or "")), trust, server_name, lambda: signed)


def _one(content: Mapping[str, Any], many: str, one: str, name: str) -> Mapping[str, Any]:
    """Return the part of that name. Raises AccessRefusedError, naming those that there are."""
    entries = [entry for entry in content.get(many) or [] if isinstance(entry, dict)]
    for entry in entries:
        if entry.get("name") == name and isinstance(entry.get(one), dict):
            return dict(entry[one])
    known = ", ".join(str(entry.get("name")) for entry in entries) or "none"
    raise AccessRefusedError(f"The kubeconfig has no {one} “{name}”; it has {known}.")


def _decoded(part: Mapping[str, Any], key: str) -> str | None:
    if not part.get(key):
        return None
    try:
        return base64.b64decode(str(part[key]), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError) as error:
        raise AccessRefusedError(f"{key} is not base64 of PEM.", hint=_FLATTEN) from error


def _present(trust: ssl.SSLContext, certificate: str, key: str) -> None:
    """Have the client show its certificate. OpenSSL reads keys from files only: one is made."""
    with tempfile.TemporaryDirectory(prefix="chaosweb-") as folder:
        kept = Path(folder) / "client.pem"
        kept.touch(mode=0o600)
        kept.write_text(f"{certificate}\n{key}")
        try:
            trust.load_cert_chain(kept)
        except (OSError, ssl.SSLError) as error:
            raise AccessRefusedError(
                f"The client certificate cannot be used: {_said(error)}."
            ) from error


def _in_cluster() -> Access:
    """Use the account of the pod that we run in; its token is read anew as it is replaced."""
    found = Configuration()
    try:
        load_incluster_config(client_configuration=found)  # type: ignore[no-untyped-call]
        trust = _trust(Path(found.ssl_ca_cert or "").read_text())
    except (ConfigException, OSError) as error:
        raise AccessRefusedError(
            f"ChaosWeb does not run in a cluster, or may not see its own account: {_said(error)}.",
            hint="Use a kubeconfig or a token, or mount the service account's token.",
        ) from error

    def headers() -> Mapping[str, str]:
        signed = found.get_api_key_with_prefix("BearerToken")
        return {"authorization": signed} if signed else {}

    return Access(_address(found.host), trust, "", headers)


def _by_token(config: ConnectionConfig) -> Access:
    server, token = str(config.options.get("server") or ""), config.secrets.get("token", "")
    if not token.strip():
        raise AccessRefusedError("There is no token.", hint="`kubectl create token ACCOUNT`")
    return Access(
        _address(server),
        _trust(str(config.options.get("ca") or "") or None),
        "",
        lambda: {"authorization": f"Bearer {token.strip()}"},
    )


def _trust(authorities: str | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cadata=authorities)
    except (ssl.SSLError, ValueError) as error:
        raise AccessRefusedError(
            f"The certificate authority cannot be read: {_said(error)}.", hint="It must be PEM."
        ) from error


def _address(text: str) -> str:
    try:
        parsed = httpx.URL(text.strip())
    except httpx.InvalidURL as error:
        raise AccessRefusedError(f"“{text}” is no server's address: {error}.") from error
    if parsed.scheme != "https" or not parsed.host or parsed.userinfo or parsed.query:
        raise AccessRefusedError(
            f"“{text}” is not the address of an API server.", hint="Write https://host:6443."
        )
    return str(parsed).rstrip("/")


def _said(error: BaseException) -> str:
    return str(error).strip().rstrip(".") or type(error).__name__
