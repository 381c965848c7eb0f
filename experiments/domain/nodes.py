"""Where a path stands in a text, for every text that can be composed, whatever it means.

``patching`` knows places more exactly, but reads documents only: no key that is 7, no long text.
"""

from __future__ import annotations

from typing import Any

from ruamel.yaml.nodes import MappingNode, ScalarNode, SequenceNode

from experiments.domain.errors import Path


def place(root: Any, path: Path) -> tuple[int, int]:
    """Return line and column (from 1) of the deepest part of the path that is written."""
    node, mark = root, root.start_mark if root else None
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
