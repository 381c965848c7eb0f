"""Places in texts that ``patching`` does not look into.

Those are long ones, and well-formed YAML that is no document, as one with a key that is 7.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from ruamel.yaml.error import YAMLError

from experiments.domain import nodes
from experiments.domain import text as yaml
from experiments.domain.errors import Path


def locate(text: str, path: Path) -> tuple[int, int]:
    """Return line and column (from 1) of the deepest part of the path that is written.

    A text that cannot be read at all, or is too large to be, begins at 1, 1.
    """
    root = _composed(text) if len(text) <= yaml.MAX_BYTES else None
    return nodes.place(root, path)


@lru_cache(maxsize=1)
def _composed(text: str) -> Any:
    try:
        return yaml.compose(text)
    except (YAMLError, RecursionError, ValueError):
        return None
