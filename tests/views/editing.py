"""What the tests of the editor share: its fields as a browser posts them."""

from __future__ import annotations

import re
from html.parser import HTMLParser

from experiments.forms import mapping
from experiments.services import previewing


def fields_of(raw, **changes):
    """Return the posted fields of a document, some of them changed (``__`` stands for ``-``)."""
    fields = mapping.document_to_fields(raw, catalogue=previewing.catalogue())
    found = {key: list(texts) for key, texts in fields.lists()}
    for key, text in changes.items():
        found[key.replace("__", "-")] = text if isinstance(text, list) else [text]
    return found


def error_at(html, key):
    """Return the text beside a field, and require that the field is marked and points at it."""
    mark = re.search(rf'<[a-z]+[^>]*id="id_{re.escape(key)}"[^>]*>', html)
    assert mark, f"no field {key}"
    assert 'aria-invalid="true"' in mark[0], f"{key} is not marked"
    assert f"id_{key}_error" in mark[0], f"{key} does not point at its error"
    text = re.search(rf'id="id_{re.escape(key)}_error">(.*?)</div>\s*</div>', html, re.S)
    assert text, f"no error beside {key}"
    return re.sub(r"<[^>]+>|\s+", " ", text[1]).strip()


class _Style(HTMLParser):
    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attrs):
        names = dict(attrs)
        if "style" in names or any(name.startswith("on") for name in names):
            self.found.append((tag, attrs))
        if tag == "script" and "src" not in names:
            self.found.append((tag, attrs))


def barred(response):
    """Return the inline styles, handlers and scripts of a page: the CSP bars them all."""
    parser = _Style()
    parser.feed(response.content.decode())
    return parser.found
