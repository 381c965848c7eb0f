"""Files that hold nothing good: each with what must be said of it, and on which line."""

from __future__ import annotations

from dataclasses import dataclass

GOOD = """\
apiVersion: chaosweb/v1
kind: Experiment
metadata: {name: one, title: One}   # a comment
hypothesis: It answers.
probes:
  - {name: answers, at: [end], http: {url: "http://front/"}, tolerance: {status: 200}}
timing: {baseline: 0s, settle: 0s}
method:
  - {name: slow, fault: fake.abort, via: mesh, with: {percentage: 50%}, duration: 10s}
"""


@dataclass(frozen=True)
class Bad:
    """One bad file. ``says`` must be in one of its errors, which stands on ``line``."""

    name: str
    content: bytes
    says: str
    line: int | None

    def __str__(self) -> str:
        return self.name


def edited(old: str, new: str) -> bytes:
    """Return the good document with one text replaced."""
    assert old in GOOD
    return GOOD.replace(old, new).encode()


def bomb() -> bytes:
    """Return aliases of aliases: 9¹² values in half a kilobyte."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    for level in range(1, 12):
        lines.append(f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 9)}]")
    return "\n".join(lines).encode()


def merge_bomb() -> bytes:
    """Return merges of merges: 9⁹ fields in half a kilobyte."""
    lines = ["a0: &a0 {x: 1, y: 2, z: 3}"]
    for level in range(1, 10):
        lines.append(f"a{level}: &a{level}\n  <<: [{', '.join([f'*a{level - 1}'] * 9)}]")
    return "\n".join(lines).encode()


BAD = [
    Bad("empty.yaml", b"", "holds no document", 1),
    Bad("blank.yaml", b"\n# nothing\n---\n", "holds no document", 1),
    Bad("bomb.yaml", bomb(), "has more than 100000 values", 1),
    Bad("merges.yaml", merge_bomb(), "merges more than 10000 fields", 9),
    Bad("itself.yaml", b"a: 1\nb: &b [*b]", "nested more than 40 deep", 2),
    Bad("merged-itself.yaml", b"a: &a\n  <<: *a", "nested too deeply", 1),
    Bad("brackets.yaml", b"[" * 190_000, "nested too deeply", 1),
    Bad("dashes.yaml", b"- " * 900, "nested too deeply", 1),
    Bad("many-dashes.yaml", b"- " * 90_000, "more than 20000 names and values", 1),
    Bad("brackets.json", b"[" * 900_000, "nested too deeply", 1),
    Bad("nobody.yaml", b"a: 1\nb: *nobody", "undefined alias", 2),
    Bad("twice.yaml", GOOD.encode() + b"kind: Experiment\n", "duplicate key", 10),
    Bad("twice.json", b'{"a": 1,\n "b": {"x": 1,\n\t"x": 2}}', "“x” stands twice", 3),
    Bad("number-key.yaml", GOOD.encode() + b"7: x\n", "the key 7 is not a text", 1),
    Bad("true-key.yaml", b"a: 1\nb:\n  true: x\n", "the key true is not a text", 2),
    Bad("list-key.yaml", b"? [a]\n: b\n", "is not a text", 1),
    Bad("deep-key.yaml", b"a: 1\n? - {a: 1}\n: b\n", "is not a text", 1),
    Bad("tab.yaml", edited("  - {name: slow", "\t- {name: slow"), "found a tab", 9),
    Bad("tab-in-second.yaml", GOOD.encode() + b"---\na:\n\tb: 1\n", "found a tab", 12),
    Bad(
        "five-megabytes.yaml",
        b"a: " + b"x" * 5_000_000,
        "larger than 1000000 bytes and was not read",
        None,
    ),
    Bad("large.yaml", b"a: " + b"x" * 300_000, "larger than 200000 bytes", 1),
    Bad(
        "large.json",
        b'{"apiVersion": "chaosweb/v1", "hypothesis": "' + b"x" * 300_000 + b'"}',
        "larger than 200000 bytes",
        1,
    ),
    Bad("many.yaml", b"--- {a: 1}\n" * 300, "more than 200 documents", 201),
    Bad("many.json", b"[" + b"{},\n" * 300 + b"{}]", "more than 200 documents", 201),
    Bad("latin-1.yaml", edited("It answers", "Es w\xe4rt").decode().encode("latin-1"), "UTF-8", 4),
    Bad("utf-16.yaml", GOOD.encode("utf-16"), "is UTF-16; save it as UTF-8", 1),
    Bad("nul.yaml", edited("It answers", "It\0answers"), "U+0000", 4),
    Bad("nul.json", b'{\n"a": "\\u0000"}', "no text may hold", 2),
    Bad("surrogate.json", b'{\n"a": "\\ud800"}', "no text may hold", 2),
    Bad("broken.json", b'{"a": 1,\n "b": }', "is not JSON: Expecting value", 2),
    Bad("comma.json", b'[{"a": 1}\n{"b": 2}]', "needs a comma", 2),
    Bad("behind.json", b'{"a": 1}\n{"b": 2}', "more behind its end", 2),
    Bad("nan.json", b'{"a": NaN}', "NaN is no number", 1),
    Bad("huge-number.json", b'{"a": ' + b"9" * 5000 + b"}", "is not JSON", 1),
    Bad("yaml-in.json", b"a: 1", "is not JSON", 1),
    Bad("yaml-1.1.yaml", b"%YAML 1.1\n---\na: on\n", "asks for YAML 1.1", 1),
    Bad("tag.yaml", b"a: 1\nb: !!python/object:os.system x", "determine a constructor", 2),
    Bad("text.yaml", b"just words", "no format that can be imported", 1),
    Bad("foreign.yaml", b"apiVersion: v1\nkind: Pod\n", "no format that can be imported", 1),
    Bad("binary", bytes(range(256)), "is not UTF-8", None),
    Bad("not-a-mapping.yaml", b"- apiVersion: chaosweb/v1\n- 3\n", "is no document", 2),
]
"""What no format can read, or that holds no document."""

WRONG = [
    Bad("newer.yaml", edited("chaosweb/v1", "chaosweb/v2"), "“chaosweb/v2” is newer", 1),
    Bad("other.yaml", edited("chaosweb/v1", "chaosweb/one"), "must be chaosweb/v1", 1),
    Bad("unknown.yaml", edited("percentage", "percentge"), "did you mean “percentage”?", 9),
    Bad("unknown-top.yaml", edited("hypothesis", "Hypothesys"), "did you mean “hypothesis”?", 4),
    Bad("unknown-part.yaml", edited("title", "titel"), "did you mean “title”?", 3),
    Bad("unknown-probe.yaml", edited("url", "uri"), "did you mean “url”?", 6),
    Bad("unknown-far.yaml", edited("settle: 0s", "zzzzz: 0s"), "there are baseline, settle", 7),
    Bad("reserved.yaml", edited("name: one", "name: import"), "is an address of ChaosWeb", 3),
    Bad("types.yaml", edited("method:", "method: 3\nslis:"), "must be a list, not 3", 8),
    Bad("types-2.yaml", edited("timing: {baseline: 0s, settle: 0s}", "timing: []"), "mapping", 7),
    Bad("types-3.yaml", edited("metadata: {", "metadata: 7\nx: {"), "mapping", 3),
    Bad("types-4.yaml", edited("hypothesis: It answers.", "hypothesis: {a: 1}"), "text", 4),
    Bad("types-5.yaml", edited("duration: 10s", "duration: [1]"), "", 9),
    Bad("missing.yaml", edited("hypothesis: It answers.\n", ""), "is missing", 1),
]
"""What reads well and is no valid experiment."""
