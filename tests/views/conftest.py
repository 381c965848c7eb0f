"""The cast: alice operates, bob writes, charlie may only read and stop, and an outsider."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.test import Client

from experiments.services import people
from tests import factories
from tests.views.newcomers import boss, connected, systems

__all__ = ["boss", "connected", "systems"]

BACKEND = "django.contrib.auth.backends.ModelBackend"


def client_of(user: Any) -> Client:
    """Return a browser in which the person is signed in."""
    client = Client()
    client.force_login(user, backend=BACKEND)
    return client


@pytest.fixture
def alice(db):
    return factories.person("alice", people.OPERATOR)


@pytest.fixture
def bob(db):
    return factories.person("bob", people.AUTHOR)


@pytest.fixture
def charlie(db):
    return factories.person("charlie", people.VIEWER)


@pytest.fixture
def admin(db):
    return factories.person("admin", people.ADMIN)


@pytest.fixture
def outsider(db):
    return Client()


@pytest.fixture
def operator(alice):
    return client_of(alice)


@pytest.fixture
def viewer(charlie):
    return client_of(charlie)


@pytest.fixture
def place(db):
    return factories.environment()


@pytest.fixture
def version(alice):
    return factories.version(alice)


@pytest.fixture
def live(version, place, alice):
    return factories.live(version, place, alice)


@pytest.fixture
def finished(version, place, alice):
    return factories.finished(version, place, alice)


def assert_kept_by_csp(html: str) -> None:
    """Refuse what the Content-Security-Policy would bar: style attributes, inline code."""
    assert not re.search(r"<[^>]+\sstyle\s*=", html)
    assert not re.search(r"<[^>]+\son[a-z]+\s*=", html)
    for kind in ("script", "style"):
        for tag in re.findall(rf"<{kind}\b[^>]*>", html):
            assert "src=" in tag or "nonce=" in tag, tag
            assert 'nonce=""' not in tag


def assert_sent_to_sign_in(response: Any) -> None:
    """Accept only the way to the sign-in page."""
    assert response.status_code == 302
    assert response["Location"].startswith("/sign-in/")
