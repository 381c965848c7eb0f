"""The import pages and the downloads, as a browser without JavaScript uses them."""

from __future__ import annotations

import base64
import re
from html import unescape

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from experiments.domain import text as yaml
from experiments.models import Experiment, ExperimentVersion
from experiments.services import authoring
from tests.importers.documents import BAD, GOOD, WRONG, Bad
from tests.views.conftest import BACKEND, assert_kept_by_csp, assert_sent_to_sign_in, client_of

pytestmark = pytest.mark.django_db

TWO = GOOD.replace("name: one,", "name: two,")
IMPORT = "/experiments/import/"
EXPORT = "/experiments/export/"


@pytest.fixture
def author(bob):
    return client_of(bob)


def file(content: str | bytes, name: str = "one.yaml") -> SimpleUploadedFile:
    return SimpleUploadedFile(name, content.encode() if isinstance(content, str) else content)


def check(client: Client, *files: SimpleUploadedFile, **fields: str) -> str:
    response = client.post(IMPORT, {"do": "check", "file": list(files), **fields})
    assert response.status_code == 200
    return response.content.decode()


def confirmed(html: str) -> dict[str, list[str]]:
    """Return the fields of the report's form, as a browser sends them."""
    fields: dict[str, list[str]] = {"do": ["store"]}
    for name, value in re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', html):
        fields.setdefault(name, []).append(unescape(value))
    fields.pop("csrfmiddlewaretoken", None)
    return fields


class TestWhoMay:
    @pytest.mark.parametrize("method", ["get", "post"])
    def test_outsiders_are_sent_to_sign_in(self, outsider, method) -> None:
        assert_sent_to_sign_in(getattr(outsider, method)(IMPORT))
        assert_sent_to_sign_in(outsider.get(f"{EXPORT}?name=one"))

    def test_viewers_export_and_do_not_import(self, viewer, bob) -> None:
        authoring.save(raw=yaml.read(GOOD), author=bob, written=GOOD)
        assert viewer.get(IMPORT).status_code == 403
        assert viewer.post(IMPORT, {"file": file(TWO)}).status_code == 403
        assert viewer.get(f"{EXPORT}?name=one").status_code == 200
        assert IMPORT not in viewer.get("/experiments/").content.decode()
        assert Experiment.objects.count() == 1

    def test_a_post_from_elsewhere_is_refused(self, bob) -> None:
        client = Client(enforce_csrf_checks=True)
        client.force_login(bob, backend=BACKEND)
        response = client.post(IMPORT, {"do": "store", "text": GOOD})
        assert response.status_code == 403
        assert not Experiment.objects.exists()


class TestImport:
    def test_the_page_has_labels_and_nothing_that_the_policy_bars(self, author) -> None:
        html = author.get(IMPORT).content.decode()
        assert_kept_by_csp(html)
        for name in re.findall(r'<(?:input|textarea)[^>]*\bid="(\w+)"', html):
            assert f'for="{name}"' in html
        assert "apiVersion: chaosweb/v1 and kind: Experiment" in html
        assert reverse("api_schema") in html

    def test_what_was_seen_is_stored_once_it_is_confirmed(self, author) -> None:
        html = check(author, file("# mine\r\n" + GOOD), file(TWO, "two.yaml"))
        assert_kept_by_csp(html)
        assert "No errors. Nothing is stored yet." in html
        assert html.count("new experiment") == 2
        assert "the text as it was written, comments and order" in html
        assert not Experiment.objects.exists()
        response = author.post(IMPORT, confirmed(html), follow=True)
        assert "Imported 2 versions." in response.content.decode()
        assert ExperimentVersion.objects.get(experiment__name="one").text == "# mine\r\n" + GOOD

    def test_one_experiment_leads_to_its_page(self, author) -> None:
        response = author.post(IMPORT, confirmed(check(author, file(GOOD))))
        assert response.status_code == 302
        assert response["Location"] == reverse("experiment_detail", args=["one"])

    def test_pasted_text_is_a_file(self, author) -> None:
        html = check(author, text=GOOD.replace("\n", "\r\n"))
        assert "pasted text" in html
        author.post(IMPORT, confirmed(html))
        assert ExperimentVersion.objects.get().text == GOOD

    def test_a_name_that_exists_becomes_a_version_or_is_refused(self, author, bob) -> None:
        authoring.save(raw=yaml.read(GOOD), author=bob, written=GOOD)
        changed = GOOD.replace("It answers", "Still")
        html = check(author, file(changed))
        assert "becomes version 2" in html
        refused = check(author, file(changed), on_conflict="refuse")
        assert "“one” is taken" in refused
        assert 'value="store"' not in refused
        author.post(IMPORT, confirmed(html))
        assert ExperimentVersion.objects.count() == 2

    def test_what_is_here_already_is_not_stored_again(self, author, bob) -> None:
        authoring.save(raw=yaml.read(GOOD), author=bob, written=GOOD)
        html = check(author, file(GOOD))
        assert "nothing new" in html
        assert 'value="store"' not in html

    def test_an_error_stands_with_its_line_and_an_excerpt(self, author) -> None:
        html = check(author, file(TWO), file(GOOD.replace("percentage", "percentge"), "bad.yaml"))
        assert "line 9, column 66" in html
        assert "method[0].with.percentge" in html
        assert "did you mean “percentage”?" in html
        here = re.search(r'is-here"><span class="cw-excerpt-number">(\d+)</span>(.*)', html)
        assert here is not None
        assert (here[1], "percentge: 50%" in here[2]) == ("9", True)
        assert "Import the one without errors" in html
        response = author.post(IMPORT, confirmed(html))
        assert response.status_code == 302
        assert Experiment.objects.get().name == "two"

    def test_a_foreign_document_is_one_error_and_nothing_is_kept_of_what_is_left_out(
        self, author
    ) -> None:
        pod = "apiVersion: v1\nkind: Pod\nmetadata: {name: carts}\nspec: {}\n"
        html = check(author, file(f"{GOOD}---\n{pod}"))
        assert "This is a v1 Pod, not a ChaosWeb experiment." in html
        assert "1 error. Nothing is stored yet." in html
        assert html.count("the text as it was written, comments and order") == 1
        bad = check(author, file(GOOD.replace("percentage", "percentge")))
        assert "the text as it was written" not in bad
        assert "<dt>Lost</dt>" not in bad
        assert bad.index("did you mean") > bad.index('class="cw-import-own"')

    @pytest.mark.parametrize("bad", [*BAD, *WRONG], ids=str)
    def test_bad_input_is_shown_and_never_stored(self, author, bad: Bad) -> None:
        response = author.post(IMPORT, {"do": "store", "file": file(bad.content, bad.name)})
        html = unescape(response.content.decode())
        if bad.content:
            assert response.status_code in (200, 413, 422)
            assert response.status_code == 413 or bad.says in html
        is_partly_good = bad.content.startswith(GOOD.encode()) and b"\n---" in bad.content
        assert Experiment.objects.count() == (1 if is_partly_good else 0)

    def test_html_is_shown_as_text(self, author) -> None:
        evil = "<script>alert(1)</script>"
        html = check(
            author,
            file(GOOD.replace("title: One", f'title: "{evil}"'), f"{evil[:-9]}.yaml"),
            file(GOOD.replace("hypothesis:", f'"{evil}":'), "key.yaml"),
        )
        assert "<script>alert" not in html
        assert "&lt;script&gt;alert" in html
        assert_kept_by_csp(html)

    def test_nothing_chosen_is_told(self, author) -> None:
        response = author.post(IMPORT, {"do": "check"})
        assert response.status_code == 422
        assert "Choose a file, or paste a document." in response.content.decode()

    def test_too_much_is_refused_before_it_is_read(self, author) -> None:
        response = author.post(IMPORT, {"file": file(b"a" * 5_000_000)})
        assert response.status_code == 413
        assert "one import takes 1 MB in all" in response.content.decode()
        response = author.post(IMPORT, {"file": [file(b"a" * 600_000), file(b"b" * 600_000)]})
        assert response.status_code == 413
        response = author.post(IMPORT, {"text": "a" * 3_000_000})
        assert response.status_code == 413

    @pytest.mark.parametrize("carried", [["no base64!"], ["YQ==", "YQ=="]])
    def test_a_report_that_was_tampered_with_is_refused(self, author, carried) -> None:
        sent = {"do": "store", "carried_name": ["a.yaml"], "carried": carried}
        assert author.post(IMPORT, sent).status_code == 404
        assert not Experiment.objects.exists()

    def test_what_is_carried_is_checked_again(self, author) -> None:
        content = base64.b64encode(GOOD.replace("method", "methods").encode()).decode()
        sent = {"do": "store", "carried_name": "a.yaml", "carried": content}
        response = author.post(IMPORT, sent)
        assert response.status_code == 422
        assert "did you mean “method”?" in response.content.decode()
        assert not Experiment.objects.exists()


class TestExport:
    @pytest.fixture
    def versions(self, bob):
        first = authoring.save(raw=yaml.read(GOOD), author=bob, written=GOOD)
        changed = GOOD.replace("It answers", "Still")
        return first, authoring.save(
            raw=yaml.read(changed), author=bob, experiment=first.experiment, written=changed
        )

    def test_the_page_of_an_experiment_offers_each_version(self, viewer, versions) -> None:
        html = viewer.get("/experiments/one/").content.decode()
        links = re.findall(r'href="(/experiments/export/[^"]*)"', html)
        assert len(links) == 4
        found = [viewer.get(unescape(link)) for link in links]
        assert [each.status_code for each in found] == [200] * 4
        assert found[0].content.decode() == versions[1].text
        assert found[3].json() == versions[0].document
        assert found[0]["Content-Disposition"] == 'attachment; filename="one.v2.yaml"'
        assert found[0]["Content-Type"] == "application/yaml; charset=utf-8"

    def test_what_is_ticked_in_the_list_comes_as_one_file(self, viewer, bob, versions) -> None:
        authoring.save(raw=yaml.read(TWO), author=bob, written=TWO)
        html = viewer.get("/experiments/").content.decode()
        assert set(re.findall(r'form="export" name="name" value="(\w+)"', html)) == {"one", "two"}
        stream = viewer.get(f"{EXPORT}?name=one&name=two&format=yaml")
        assert stream.content.decode() == f"{versions[1].text}---\n{TWO}"
        listed = viewer.get(f"{EXPORT}?name=one&name=two&format=json").json()
        assert [each["metadata"]["name"] for each in listed] == ["one", "two"]
        assert viewer.get(f"{EXPORT}?name=two&format=json").json() == yaml.read(TWO)

    def test_nothing_ticked_is_told(self, viewer, versions) -> None:
        response = viewer.get(f"{EXPORT}?format=yaml", follow=True)
        assert "Tick the experiments that you want to download." in response.content.decode()

    @pytest.mark.parametrize(
        "query", ["name=gone", "name=one&version=9", "name=one&version=x", "name=one&format=xml"]
    )
    def test_what_there_is_not_is_not_found(self, viewer, versions, query) -> None:
        assert viewer.get(f"{EXPORT}?{query}").status_code == 404
