"""Chaos Mesh's own schemas and examples, which are shared with others and not copied here."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from experiments.domain import text

ROOT = Path(__file__).resolve().parents[3]
DATA = ROOT.parent / "shared" / "data" / "chaosmesh"
EXAMPLES = sorted((DATA / "examples").glob("*.yaml"))


def need_data() -> None:
    """Skip without the shared data; where CI is set they must be there."""
    if not DATA.is_dir():
        missing = "../shared/data/chaosmesh is not there"
        if os.environ.get("CI"):
            pytest.fail(missing)
        pytest.skip(missing)  # a clone without it; in CI the line above fails


def strict(schema: Any) -> Any:
    """Return the schema without room for unknown fields, as the API server prunes them."""
    if isinstance(schema, list):
        return [strict(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    made = {key: strict(value) for key, value in schema.items()}
    if made.get("type") == "object" and "properties" in made:
        made.setdefault("additionalProperties", False)
    return made


@cache
def validator(kind: str) -> Draft202012Validator:
    """Return what checks an object of the kind as its CRD does, and refuses unknown fields."""
    need_data()
    written = (DATA / "crds" / f"chaos-mesh.org_{kind.lower()}.yaml").read_text(encoding="utf-8")
    crd = text.read(written)
    (version,) = crd["spec"]["versions"]
    schema = strict(version["schema"]["openAPIV3Schema"])
    schema["properties"]["metadata"] = {"type": "object"}
    return Draft202012Validator(schema)


def problems(manifest: dict[str, Any]) -> Iterator[str]:
    """Yield what the CRD of its kind has against a manifest."""
    for error in validator(manifest["kind"]).iter_errors(manifest):
        yield f"{'.'.join(map(str, error.absolute_path))}: {error.message}"
