"""Documents drawn by hypothesis: valid ones with everything in them, and mutations of those."""

from __future__ import annotations

import copy
from typing import Any

from hypothesis import strategies as st

ODD_WORDS = (
    "on",
    "yes",
    "no",
    "1:30",
    "12:30:45",
    "2024-01-01",
    "2024-01-01T10:00:00Z",
    "0x1f",
    "1e3",
    "010",
    "null",
    "~",
    "true",
    ".inf",
    "- x",
    "# no comment",
    "a: b",
    "{a}",
    "[a]",
    "&a",
    "*a",
    "!!str x",
    "%YAML",
    "'",
    '"',
    "`",
    "@",
    "trailing ",
    " leading",
    "two\nlines",
    "three\n\nlines\n",
    "tab\tinside",
    "ends with colon:",
    "back\\slash",
    "naïve ☃ 𝄞",
    "long " * 60,
    "\u00a0blank",
    "<b>&amp;</b>",
    "{{ x }}",
    "===",
    "<<",
    "?",
)
texts = st.one_of(
    st.sampled_from(ODD_WORDS),
    st.text(
        st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"], exclude_characters="$"),
        max_size=20,
    ),
)
words = texts.filter(lambda text: bool(text.strip()))
names = st.from_regex(r"[a-z][a-z0-9_-]{0,6}[a-z0-9]", fullmatch=True).filter(
    lambda name: not name.startswith("no-data-")
)
durations = st.sampled_from(["90ms", "1.5s", "10s", "0.5m", "1h30m", " 3 m", "2m", 30, 0.25])
shares = st.sampled_from(["1%", "20 %", "0.5%", "100%", "33.3 %"])
delays = st.sampled_from(["90ms", "2s", "${wait}", "0.1 s"])


def some(wanted: dict[str, Any], **optional: Any) -> st.SearchStrategy[dict[str, Any]]:
    """Return mappings with the wanted fields and any of the others."""
    extra = {name.rstrip("_"): value for name, value in optional.items()}
    return st.fixed_dictionaries(wanted, optional=extra)


def slis(name: str) -> st.SearchStrategy[dict[str, Any]]:
    """Return valid SLIs of every kind, under the name."""
    beside = {
        "title": texts,
        "source": st.sampled_from(["metrics", "other"]),
        "critical": st.booleans(),
    }
    way = st.sampled_from(["lower_is_better", "higher_is_better"])
    holds = some({"name": st.just(name)}, expect=st.just("holds"), direction=way, **beside)
    margin = st.fixed_dictionaries({"relative": shares})
    in_ms = st.sampled_from([{"max": "500ms"}, {"max": "0.5 s"}, {"min": 1, "max": 70.5}])
    ratio = {"bad": st.just('hits{code=~"5.."}'), "total": st.just("hits")}
    measures: list[Any] = [
        {"ratio": st.fixed_dictionaries(ratio), "limit": st.just({"max": "1 %"})},
        {
            "quantile": some(
                {"histogram": st.just("seconds_bucket")}, q=st.sampled_from([0.5, 0.95])
            ),
            "unit": st.just("ms"),
            "limit": in_ms,
        },
        {"value": st.sampled_from(["up", "sum(x)\n  or vector(0)\n"]), "margin": margin},
        {
            "preset": st.just("envoy.edge_latency"),
            "with": st.just({"listener": "carts"}),
            "margin": margin,
        },
        {"use": st.just("carts.p95"), "margin": margin},
    ]
    fixed = ("direction",)

    def one(pair: tuple[dict[str, Any], dict[str, Any]]) -> dict[str, Any]:
        begun, measure = pair
        # What a service's SLI is, the service alone says.
        kept = {key: begun[key] for key in begun if not ("use" in measure and key in fixed)}
        return {**kept, **measure}

    return st.tuples(holds, st.one_of(*map(st.fixed_dictionaries, measures))).map(one)


def probes(name: str) -> st.SearchStrategy[dict[str, Any]]:
    """Return valid probes of both kinds, under the name."""
    moments = st.lists(st.sampled_from(["start", "end", "throughout"]), min_size=1, unique=True)
    beside = {"at": moments, "every": durations}
    headers = st.dictionaries(
        st.sampled_from(["X-One", "Authorization", "accept"]),
        st.one_of(
            words.filter(lambda text: "\n" not in text), st.just("Bearer ${secret:api-token}")
        ),
        max_size=2,
    )
    http = some(
        {"url": st.sampled_from(["http://front/", "https://a.b:8443/x?y=1#z"])},
        method=st.sampled_from(["GET", "HEAD", "POST"]),
        headers=headers,
        timeout=st.sampled_from(["5s", "250ms", 3]),
    )
    met = some(
        {"status": st.one_of(st.just(200), st.just([200, 204]))},
        equals=st.one_of(texts, st.booleans(), st.sampled_from([1, 2.5])),
        min=st.sampled_from([0, 1.5]),
        regex=st.sampled_from(["^ok$", "on", "1:30"]),
    )
    asked = some({"query": st.sampled_from(["up", "sum(rate(x[1m]))"])}, source=st.just("metrics"))
    bounds = some({"max": st.sampled_from([1, 2.5])}, min=st.just(0))
    base = {"name": st.just(name)}
    return st.one_of(
        some({**base, "http": http, "tolerance": met}, **beside),
        some({**base, "promql": asked, "tolerance": bounds}, **beside),
    )


def _faults(name: str, earlier: list[str]) -> st.SearchStrategy[dict[str, Any]]:
    base = {"name": st.just(name), "via": st.sampled_from(["mesh", "edge"]), "duration": durations}
    start = starts(earlier)
    drift = st.sampled_from(["reinject", "stop", "ignore"])
    return st.one_of(
        some(
            {
                **base,
                "fault": st.just("fake.delay"),
                "with": some({"fixed_delay": delays}, percentage=shares, target=st.just("carts")),
            },
            start=start,
            on_drift=drift,
        ),
        some(
            {
                **base,
                "fault": st.just("envoy.http_abort"),
                "with": some(
                    {"http_status": st.just(503)}, percentage=shares, route=st.just("carts")
                ),
            },
            start=start,
            on_drift=drift,
        ),
    )


def starts(earlier: list[str]) -> st.SearchStrategy[dict[str, Any]]:
    """Return when an action may begin, given the names of those before it."""
    late = st.sampled_from(["0s", "1s", "1:30".replace(":", "m") + "s"])
    if not earlier:
        return some({}, delay=late)
    others = st.lists(st.sampled_from(earlier), min_size=1, max_size=2, unique=True)
    return st.one_of(some({"after": others}, delay=late), some({"with": others}, delay=late))


@st.composite
def documents(draw: Any) -> dict[str, Any]:
    """Return a valid document, where ``carts.p95`` is a service's SLI."""
    called = draw(st.lists(names, min_size=1, max_size=3, unique=True))
    method: list[dict[str, Any]] = []
    steps = draw(st.lists(names, min_size=1, max_size=4, unique=True))
    for index, name in enumerate(steps):
        earlier = [each["name"] for each in method]
        kinds = [_faults(name, earlier)]
        if index:
            kinds += [
                some({"name": st.just(name), "wait": durations}, start=starts(earlier)),
                some({"name": st.just(name), "checkpoint": words}, timeout=durations),
            ]
        method.append(draw(st.one_of(*kinds)))
    raw: dict[str, Any] = {
        "apiVersion": "chaosweb/v1",
        "kind": "Experiment",
        "metadata": draw(
            some(
                {"name": names.filter(lambda name: name not in ("new", "row", "export", "import"))},
                title=texts,
                description=texts,
                service=st.just("carts"),
                tags=st.lists(names, max_size=3),
            )
        ),
        "hypothesis": draw(words),
        "parameters": {
            "wait": {"type": "duration", "default": draw(durations)},
            **draw(
                some(
                    {},
                    word=some({"type": st.just("text")}, default=texts, description=texts),
                    flag=some({"type": st.just("boolean")}, default=st.booleans()),
                    many=some({"type": st.just("integer")}, default=st.integers(-9, 9)),
                )
            ),
        },
        "slis": [draw(slis(name)) for name in called],
        "method": method,
    }
    if draw(st.booleans()):
        raw["probes"] = [
            draw(probes(name))
            for name in draw(st.lists(names, min_size=1, max_size=2, unique=True))
        ]
    if draw(st.booleans()):
        raw["timing"] = draw(
            some(
                {},
                baseline=st.one_of(durations, st.just({"last": "30m"})),
                settle=durations,
                step=st.sampled_from(["auto", "2s", 5]),
            )
        )
    if draw(st.booleans()):
        raw["guardrails"] = [
            draw(
                some(
                    {
                        "name": st.just("g-own"),
                        "promql": words,
                        "above": st.sampled_from([5, 0.5, "7"]),
                    },
                    unit=st.sampled_from(["jobs", ""]),
                    source=st.just("metrics"),
                    breaches=st.sampled_from(["3 of 5", 2]),
                    every=durations,
                    no_data=st.sampled_from(["stop", "ignore", "checkpoint"]),
                )
            )
        ]
    return raw


anything = st.recursive(
    st.one_of(texts, st.integers(-(2**40), 2**40), st.floats(), st.booleans(), st.none()),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.one_of(names, texts), inner, max_size=3)
    ),
    max_leaves=8,
)


def _places(node: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path] if path else []
    items = (
        node.items()
        if isinstance(node, dict)
        else enumerate(node)
        if isinstance(node, list)
        else ()
    )
    for key, value in items:
        found += _places(value, (*path, key))
    return found


@st.composite
def mutated(draw: Any) -> Any:
    """Return a valid document with a few values replaced, taken away, doubled or renamed."""
    raw = copy.deepcopy(draw(documents()))
    for _ in range(draw(st.integers(1, 3))):
        places = _places(raw)
        if not places:
            break
        *parents, last = draw(st.sampled_from(places))
        node = raw
        for part in parents:
            node = node[part]
        act = draw(st.sampled_from(["replace", "remove", "double", "rename"]))
        if act == "replace":
            node[last] = draw(anything)
        elif act == "remove":
            del node[last]
        elif act == "double" and isinstance(node, list):
            node.append(copy.deepcopy(node[last]))
        elif isinstance(node, dict):
            node[draw(texts)] = node.pop(last)
    return raw
