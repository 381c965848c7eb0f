"""The cast of the API's tests: one person of each role, and a place to run in."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from rest_framework.test import APIClient

from experiments.models import Alias, Connection, Environment, User
from experiments.services import authoring, people
from tests.pump import Pump

DOCUMENT: dict[str, Any] = {
    "apiVersion": "chaosweb/v1",
    "kind": "Experiment",
    "metadata": {"name": "probe-only", "title": "It answers"},
    "hypothesis": "It answers.",
    "parameters": {"share": {"type": "percentage", "default": "50%"}},
    "probes": [
        {
            "name": "answers",
            "at": ["end"],
            "http": {"url": "http://127.0.0.1:1/"},
            "tolerance": {"status": 200},
        }
    ],
    "timing": {"baseline": "0s", "settle": "0s"},
    "method": [
        {
            "name": "one",
            "fault": "fake.abort",
            "via": "mesh",
            "with": {"percentage": "${share}"},
            "duration": "10s",
        }
    ],
}


@pytest.fixture
def document():
    return copy.deepcopy(DOCUMENT)


@pytest.fixture
def roles(db):
    people.ensure_roles()


def _person(name: str, role: str) -> User:
    user = User.objects.create_user(name, password="x")
    people.give_role(user=user, role=role)
    return user


@pytest.fixture
def vera(roles):
    return _person("vera", "viewer")


@pytest.fixture
def arthur(roles):
    return _person("arthur", "author")


@pytest.fixture
def olga(roles):
    return _person("olga", "operator")


@pytest.fixture
def ada(roles):
    return _person("ada", "admin")


@pytest.fixture
def cast(vera, arthur, olga, ada):
    return {"viewer": vera, "author": arthur, "operator": olga, "admin": ada}


def client_of(user: User | None = None, **kwargs: Any) -> APIClient:
    client = APIClient(**kwargs)
    if user is not None:
        client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


@pytest.fixture
def viewer(vera):
    return client_of(vera)


@pytest.fixture
def author(arthur):
    return client_of(arthur)


@pytest.fixture
def operator(olga):
    return client_of(olga)


@pytest.fixture
def environment(db):
    made = Environment.objects.create(name="rehearsal", allowed_hosts=["127.0.0.1"])
    connection = Connection.objects.create(
        name="pretended", kind="fake", secrets={"token": "hush-hush"}
    )
    Alias.objects.create(environment=made, name="mesh", connection=connection)
    return made


@pytest.fixture
def pump(monkeypatch):
    return Pump(monkeypatch)


@pytest.fixture
def version(olga, document):
    return authoring.save(raw=document, author=olga)


@pytest.fixture
def request_run(operator, version, environment, pump):
    def ask(key="first", client=operator, **changes):
        body = {"experiment": "probe-only", "environment": "rehearsal"} | changes
        body = {name: value for name, value in body.items() if value is not None}
        return client.post("/api/v1/runs", body, format="json", headers={"Idempotency-Key": key})

    return ask


def told(response: Any) -> dict[str, str]:
    """Return the errors of an answer: what is said at each place."""
    return {error["where"]: error["message"] for error in response.json()["errors"]}
