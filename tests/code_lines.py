"""Weight of the code: lines without blanks, comments and docstrings."""

import ast
import io
import tokenize
from pathlib import Path

_NO_CODE = {
    tokenize.COMMENT,
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENDMARKER,
}


def code_lines(folder: Path) -> int:
    """Count the lines of code of all modules in a folder."""
    return sum(_count(path.read_text(encoding="utf-8")) for path in folder.rglob("*.py"))


def _count(text: str) -> int:
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in _NO_CODE:
            lines.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(text)):  # docstrings, those of attributes too
        text_of = getattr(node.value, "value", None) if isinstance(node, ast.Expr) else None
        if isinstance(text_of, str):
            lines.difference_update(range(node.lineno, (node.end_lineno or 0) + 1))
    return len(lines)
