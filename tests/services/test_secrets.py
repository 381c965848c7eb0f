"""Secrets of environments: sent in headers, and found nowhere afterwards."""

from __future__ import annotations

import contextlib
import io
import json
import logging
from http.server import BaseHTTPRequestHandler

import pytest
from django.core.exceptions import PermissionDenied
from django.core.management import call_command
from django.db import connection

from drivers.http import MAX_TEXT_BYTES
from experiments import backends
from experiments.domain.errors import InvalidDocumentError
from experiments.domain.method import Probe
from experiments.models import Environment, Run
from experiments.services import authoring, connecting, launching, people, probing, secrets
from tests import factories
from tests.servers.prometheus import serving
from tests.services.worlds import ENDED, document, start

pytestmark = pytest.mark.django_db(transaction=True)

FETCH = backends.fetch
TOKEN = 's3cr/t+"<tök>'.replace("ö", "o") + "\\=="
OTHER = "another-one-42"


def _escaped(text):
    """Return a text of JSON as .NET writes it: all but letters and digits as their numbers."""
    return "".join(each if each.isalnum() else f"\\u{ord(each):04X}" for each in text)


class Echo(BaseHTTPRequestHandler):
    """Answers what it was sent, in the way that the address names."""

    seen: list[str | None] = []

    def do_GET(self):
        token = self.headers.get("x-token") or ""
        Echo.seen.append(self.headers.get("x-token"))
        way = self.path.strip("/").partition("?")[0]
        if way == "away":
            self.send_response(302)
            self.send_header("location", f"http://localhost:{self.server.server_port}/{OTHER}")
            self.send_header("content-length", "0")
            self.end_headers()
            return
        body = {
            "json": lambda: json.dumps({"token": token, "long": "x" * 70 + token}),
            "net": lambda: f'{{"token": "{_escaped(token)}"}}',
            "html": lambda: token.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&#34;"),
            "plain": lambda: f"you sent {token}",
            "quiet": lambda: '"fine"',
            "cut": lambda: self._until_within(token, token),
            "cut-html": lambda: self._until_within(
                token, "".join(f"&#x0000{ord(each):02x};" for each in token)
            ),
        }[way]().encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _until_within(self, token, spelled):
        """Return the token, and once more so that the reader stops after ``?n`` of its letters."""
        letters = int(self.path.partition("?")[2])
        return token + " " * (MAX_TEXT_BYTES - len(token) - letters) + spelled

    def log_message(self, *_):
        pass


@pytest.fixture
def echo(metrics, monkeypatch):
    """Return the address of a server that tells all it hears; probes really ask it."""
    monkeypatch.setattr(backends, "fetch", FETCH)
    Echo.seen.clear()
    with serving(Echo) as url:
        yield url


@pytest.fixture
def adele(db):
    return factories.person("adele", people.ADMIN)


@pytest.fixture
def place(environment, adele):
    environment.allowed_hosts = ["127.0.0.1", "localhost"]
    environment.save()
    secrets.save(user=adele, environment=environment, changes={"token": TOKEN, "other": OTHER})
    environment.refresh_from_db()
    return environment


def asked(url, header="${secret:token}", **tolerance):
    http = {"url": url, "headers": {"X-Token": header}}
    return Probe.model_validate({"name": "p", "http": http, "tolerance": tolerance})


def is_told(text):
    """Return whether a text tells either secret, in any spelling of the tests."""
    spelled = [TOKEN, json.dumps(TOKEN)[1:-1], OTHER, "s3cr"]
    return any(each in text for each in spelled)


def test_the_value_is_sent_and_the_name_is_told(echo, place):
    found = probing.probe(asked(f"{echo}/plain", "Bearer ${secret:token}", equals="no"), place, {})
    assert Echo.seen == [f"Bearer {TOKEN}"]
    assert found.passed is False
    assert not is_told(found.detail)


@pytest.mark.parametrize("way", ["json", "net"])
@pytest.mark.parametrize("path", ["$.token", "$", "$.long"])
def test_an_answer_that_echoes_it_is_masked(echo, place, way, path):
    if way == "net" and path == "$.long":
        path = "$['token']"
    found = probing.probe(asked(f"{echo}/{way}", jsonpath=path, equals="no"), place, {})
    assert found.passed is False
    assert "${secret:token}" in found.detail or path == "$.long"
    assert not is_told(found.detail)


@pytest.mark.parametrize("way", ["json", "net", "html", "plain"])
def test_no_tolerance_can_ask_what_it_is(echo, place, way):
    for pattern in ("s3cr", "s3", r"tok"):
        found = probing.probe(asked(f"{echo}/{way}", regex=f"{pattern}(?!en)"), place, {})
        assert found.passed is False
    found = probing.probe(asked(f"{echo}/{way}", regex=r"\$\{secret:token\}"), place, {})
    assert found.passed is True


@pytest.mark.parametrize(("way", "spelling"), [("cut", r"{}"), ("cut-html", r"&\#x0000{:02x};")])
def test_an_answer_that_ends_within_it_tells_no_letter_of_it(echo, place, way, spelling):
    for count in range(1, 5):
        started = "".join(spelling.format(ord(c) if "x" in spelling else c) for c in "s3cr"[:count])
        length = len(started.replace("\\", ""))
        probe = asked(f"{echo}/{way}?{length}", regex=rf" {started}\Z")
        assert probing.probe(probe, place, {}).passed is False
    for regex in (r"^\$\{secret:token\} ", r" \Z"):
        probe = asked(f"{echo}/{way}?3", regex=regex)
        assert probing.probe(probe, place, {}).passed is True


def test_a_whole_one_at_the_end_of_a_cut_answer_is_masked_or_left_out(place):
    sent = secrets.filled({"X": "${secret:token}${secret:other}"}, place)
    for text in (TOKEN * 9, f"{OTHER}{TOKEN}" * 9, TOKEN, "", OTHER):
        for end in range(len(text) + 1):
            assert not is_told(sent.masked(text[:end], is_cut=True))
            assert "s3" not in sent.masked(text[:end], is_cut=True)


def test_an_answer_that_does_not_echo_it_is_left_alone(echo, place):
    assert probing.probe(asked(f"{echo}/quiet", equals='"fine"'), place, {}).passed is True


def test_a_redirect_to_another_host_is_not_followed(echo, place):
    found = probing.probe(asked(f"{echo}/away", status=200), place, {})
    assert found.passed is False
    assert Echo.seen == [TOKEN]


def test_a_missing_one_is_a_probe_that_could_not_be_asked(echo, place):
    found = probing.probe(asked(f"{echo}/quiet", "${secret:nowhere}", status=200), place, {})
    assert found.passed is None
    assert "no secret “nowhere”" in found.detail
    assert Echo.seen == []


def test_one_that_cannot_be_decrypted_is_said_to_be(echo, place):
    Environment.objects.filter(pk=place.pk).update(secrets={"token": "x"})
    with connection.cursor() as cursor:
        cursor.execute("update experiments_environment set secrets = %s", ['{"token": "gAAAnone"}'])
    lost = Environment.objects.get(pk=place.pk)
    assert not secrets.is_readable(lost)
    assert secrets.kept(lost) == []
    found = probing.probe(asked(f"{echo}/quiet", status=200), lost, {})
    assert found.passed is None
    assert "CHAOSWEB_FIELD_KEY" in found.detail
    assert Echo.seen == []


def test_changing_an_environment_keeps_secrets_that_cannot_be_decrypted(place, adele):
    written = '{"token": "gAAAnone"}'
    with connection.cursor() as cursor:
        cursor.execute("update experiments_environment set secrets = %s", [written])
    lost = Environment.objects.get(pk=place.pk)
    lost.title = "Renamed"
    aliases = [(each.name, each.connection) for each in lost.aliases.all()]
    connecting.save_environment(user=adele, environment=lost, aliases=aliases)
    with connection.cursor() as cursor:
        cursor.execute("select title, secrets from experiments_environment")
        assert cursor.fetchone() == ("Renamed", written)


def test_they_are_encrypted_where_they_are_stored(place):
    with connection.cursor() as cursor:
        cursor.execute("select secrets from experiments_environment where id = %s", [place.pk])
        stored = cursor.fetchone()[0]
    assert "token" in stored
    assert not is_told(stored)
    assert "adele" not in stored


def test_only_an_admin_sets_them(place, alice):
    with pytest.raises(PermissionDenied):
        secrets.save(user=alice, environment=place, changes={"token": None})
    place.refresh_from_db()
    assert [each.name for each in secrets.kept(place)] == ["other", "token"]
    assert {each.set_by for each in secrets.kept(place)} == {"adele"}


def needy(url, header="${secret:token}", at=("start", "end")):
    raw = document()
    raw["probes"][0]["at"] = list(at)
    raw["probes"][0]["http"] = {"url": url, "headers": {"X-Token": header}}
    return raw


def test_a_run_that_lacks_one_is_refused_before_it_begins(alice, place):
    with pytest.raises(InvalidDocumentError) as caught:
        start(alice, place, needy("http://127.0.0.1/", "${secret:nowhere}"))
    assert [error.dotted for error in caught.value.errors] == ["probes[0].http.headers.X-Token"]
    assert "nowhere" in str(caught.value)
    assert not Run.objects.exists()


def test_a_run_tells_it_nowhere(alice, place, pump, echo, caplog):
    """Every row of the database and every line of the log, after a run whose probes echo it."""
    caplog.set_level(logging.DEBUG)
    raw = needy(f"{echo}/json")
    raw["probes"][0]["tolerance"] = {"jsonpath": "$.long", "regex": "x"}
    raw["probes"].append(
        {**raw["probes"][0], "name": "wrong", "at": ["end"], "tolerance": {"equals": "no"}}
    )
    raw["probes"][1]["tolerance"] = {"jsonpath": "$.token", "equals": "no"}
    run = start(alice, place, raw)
    pump.run_until(run, *ENDED)
    assert run.status == "completed"
    assert run.verdict == "deviated"
    assert TOKEN in Echo.seen
    rows = io.StringIO()
    with contextlib.redirect_stdout(rows):
        call_command("dumpdata", "experiments", exclude=["experiments.environment"])
    assert "${secret:token}" in rows.getvalue()
    assert not is_told(rows.getvalue())
    ours = [each for each in caplog.records if not each.name.startswith("httpcore")]
    assert not is_told("\n".join(each.getMessage() for each in ours))


def test_a_secret_that_goes_while_the_run_goes_on_is_no_pass(alice, place, pump, echo, adele):
    run = start(alice, place, needy(f"{echo}/quiet"))
    pump.run_until(run, "injecting")
    secrets.save(user=adele, environment=place, changes={"token": None})
    pump.run_until(run, *ENDED)
    assert run.verdict == "inconclusive"


def test_fits_names_every_header_that_lacks_one(place):
    raw = needy("http://127.0.0.1/", "${secret:token} ${secret:one} ${secret:two}")
    spec = authoring.validate(raw).or_raise()
    told = [error.message for error in launching.fits(spec, place)]
    assert [name in message for name, message in zip(("one", "two"), told, strict=True)] == [
        True
    ] * 2
