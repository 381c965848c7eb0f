"""Whatever the style and the edit: the patched text means the document, and keeps the rest."""

from __future__ import annotations

import re

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from experiments.domain import text
from experiments.domain.patching import locate, patch, path_at
from experiments.domain.patching.matching import same
from tests.domain.yaml_styles import THOROUGH, edits, survivors, written


@THOROUGH
@given(written())
def test_whatever_the_style_nothing_changed_is_the_same_text(drawn):
    document, authored, _ = drawn
    patched = patch(authored, document)
    assert (patched.text, patched.kept) == (authored, True)


@THOROUGH
@given(written(), st.data())
def test_whatever_is_edited_the_text_means_it_and_comments_of_what_stays_are_kept(drawn, data):
    document, authored, comments = drawn
    new = data.draw(edits(document))
    patched = patch(authored, new)
    assert patched.kept
    assert same(text.read(patched.text), new)
    for path in survivors(document, new, comments):
        assert all(comment in patched.text for comment in comments[path]), (path, patched.text)


@THOROUGH
@given(written(), st.data())
def test_lines_outside_the_edited_section_stay_as_they_are(drawn, data):
    document, authored, _ = drawn
    # An alias of another section is written out when what it stands for changes.
    assume(not re.search(r"[&*]n\d", authored))
    section = data.draw(st.sampled_from(list(document)))
    new = document | {section: data.draw(edits({"": document[section]})).get("", 1)}
    now = patch(authored, new).text
    start = _offset(authored, section)
    assert now.startswith(authored[:start])
    later = list(document)[list(document).index(section) + 1 :]
    if later:
        assert now.endswith(authored[_offset(authored, later[0]) :])


def _offset(authored: str, section: str) -> int:
    """Return where the line begins on which the section's key stands."""
    place = locate(authored, (section,))
    assert place is not None
    lines = authored.split("\n")
    found = next(
        number
        for number, line in enumerate(lines)
        if path_at(authored, number + 1, 1) == (section,)
        and line.strip()
        and not line.startswith((" ", "#", "-", "\t"))
    )
    return sum(len(line) + 1 for line in lines[:found])


printable = st.text(max_size=8).filter(lambda value: "\0" not in value)


@settings(max_examples=200, deadline=None)
@given(
    st.text(alphabet="ab01:-?!&*[]{}|>%#'\"\n\t ,~.<=@`\\é", max_size=40),
    st.dictionaries(st.sampled_from("ab01"), printable | st.booleans(), min_size=1),
)
def test_whatever_was_written_the_patched_text_means_the_document(authored, document):
    assert same(text.read(patch(authored, document).text), document)
