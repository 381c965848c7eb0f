"""Pages: check permission, parse, call one service or selector, render."""
