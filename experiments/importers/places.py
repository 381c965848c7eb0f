"""Places in texts that ``patching`` does not look into.

Those are long ones, and well-formed YAML that is no document, as one with a key that is 7.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.nodes import MappingNode, ScalarNode, SequenceNode

from experiments.domain import text as yaml
from experiments.domain.errors import Path


def locate(text: str, path: Path) -> tuple[int, int]:
    """Return line and column (from 1) of the deepest part of the path that is written.

    A text that cannot be read at all, or is too large to be, begins at 1, 1.
    """
    node = _composed(text) if len(text) <= yaml.MAX_BYTES else None
    mark = node.start_mark if node else None
    for part in path:
        found = _under(node, part)
        if found is None:
            break
        mark, node = found
        is_block = not isinstance(node, ScalarNode) and not node.flow_style
        if not is_block and node.start_mark.line == mark.line:
            mark = node.start_mark
    return (mark.line + 1, mark.column + 1) if mark else (1, 1)


def _under(node: Any, part: str | int) -> tuple[Any, Any] | None:
    """Return where an entry begins, and its value."""
    if isinstance(node, MappingNode):
        for key, value in node.value:
            if key.value == part:
                return key.start_mark, value
    if isinstance(node, SequenceNode) and isinstance(part, int) and part < len(node.value):
        return node.value[part].start_mark, node.value[part]
    return None


@lru_cache(maxsize=1)
def _composed(text: str) -> Any:
    loader = YAML(typ="safe", pure=True)
    loader.Scanner = yaml.BoundedScanner
    try:
        return loader.compose(text)
    except (YAMLError, RecursionError, ValueError):
        return None
