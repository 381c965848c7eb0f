"""Inputs that write themselves: Django renders a template for each, and an editor has hundreds."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from django import forms
from django.forms.utils import flatatt
from django.utils.html import escape, format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe


class Text(forms.TextInput):
    """One line of text."""

    def render(self, name: str, value: Any, attrs: Any = None, renderer: Any = None) -> SafeString:
        """Return the input as HTML."""
        written = {} if value in (None, "") else {"value": str(value)}
        given = self.build_attrs(self.attrs, attrs)
        return format_html('<input type="text" name="{}"{}>', name, flatatt({**written, **given}))


class Area(forms.Textarea):
    """Several lines of text."""

    def render(self, name: str, value: Any, attrs: Any = None, renderer: Any = None) -> SafeString:
        """Return the text area as HTML; browsers drop the first line break in it."""
        given = flatatt(self.build_attrs(self.attrs, attrs))
        return format_html(
            '<textarea name="{}"{}>\n{}</textarea>', name, given, "" if value is None else value
        )


class Choice(forms.Select):
    """One of several; ``grouped`` are groups with titles, for what is too much for one list."""

    def __init__(
        self,
        choices: Sequence[tuple[str, str]],
        attrs: dict[str, str] | None = None,
        grouped: Sequence[tuple[str, Sequence[tuple[str, str]]]] = (),
    ) -> None:
        super().__init__(attrs=attrs)
        self.listed = tuple(choices)
        self.grouped = tuple((title, tuple(part)) for title, part in grouped)

    def render(self, name: str, value: Any, attrs: Any = None, renderer: Any = None) -> SafeString:
        """Return the list as HTML, the value's option chosen."""
        given = flatatt(self.build_attrs(self.attrs, attrs))
        options = _options(self.listed, self.grouped)
        chosen = f'<option value="{escape("" if value is None else value)}"'
        # Built once for all rows: what differs is which one is chosen.
        made = options.replace(chosen, f"{chosen} selected", 1)
        return format_html('<select name="{}"{}>{}</select>', name, given, mark_safe(made))  # noqa: S308  escaped above


@lru_cache(maxsize=256)
def _options(
    listed: tuple[tuple[str, str], ...],
    grouped: tuple[tuple[str, tuple[tuple[str, str], ...]], ...],
) -> SafeString:
    """Return the options as HTML, none of them chosen."""
    alone = format_html_join("", '<option value="{}">{}</option>', listed)
    groups = (
        (title, format_html_join("", '<option value="{}">{}</option>', part))
        for title, part in grouped
    )
    return alone + format_html_join("", '<optgroup label="{}">{}</optgroup>', groups)
