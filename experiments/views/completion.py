"""What the YAML view completes with, beside the published schema: names that only we know."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from functools import cache
from typing import Any

from experiments.domain import presets, spec, suggests
from experiments.models import Environment
from experiments.selectors import named_slis
from experiments.services import previewing, suggesting


def words(environments: list[Environment]) -> dict[str, Any]:
    """Return aliases by environment, what reaches each backend, ready-made and services' SLIs."""
    return {
        "aliases": _bound(environments),
        "backends": suggesting.connection_kinds(),
        "presets": _presets(),
        "slis": dict(named_slis.listed()),
    }


def _bound(environments: list[Environment]) -> dict[str, dict[str, str]]:
    """Return the aliases of each environment with the kind of their connection."""
    return {
        each.name: {alias.name: alias.connection.kind for alias in each.aliases.all()}
        for each in environments
    }


@cache
def _presets() -> Mapping[str, Any]:
    """Return the ready-made SLIs and their fields, as the completion tells them."""
    return {
        preset.name: {
            "title": preset.title,
            "description": preset.description,
            "fields": {
                field.name: {
                    "title": field.title,
                    "description": field.description,
                    "default": field.default,
                    "required": field.required,
                    "choices": list(field.choices),
                    "suggests": (
                        suggests.of_preset(preset.name, field.name) if field.lookup else ""
                    ),
                }
                for field in preset.fields
            },
        }
        for preset in presets.PRESETS.values()
    }


@cache
def schema_version() -> str:
    """Return what changes with the published schema, so that browsers may keep it."""
    made = json.dumps(spec.json_schema(previewing.catalogue()), sort_keys=True)
    return hashlib.sha256(made.encode()).hexdigest()[:12]
