"""Code and raw text that people copy: coloured, escaped, with a button."""

from __future__ import annotations

import html
import io
import keyword
import tokenize


def render_code(code: str, what: str = "code") -> str:
    """Draw Python code with a button that copies it.

    Args:
        code: what is copied, as it is.
        what: names it for who cannot see it: "Copy the ...".
    """
    return _copyable(_highlight(code), what, "tk-code")


def render_raw(text: str, what: str) -> str:
    """Draw a text as it is, with a button that copies it."""
    return _copyable(html.escape(text), what, "tk-raw")


def _copyable(inner: str, what: str, kind: str) -> str:
    label = html.escape(f"Copy the {what}")
    return (
        f'<div class="snippet {kind}"><button type="button" class="copy" data-tk-copy aria-label="{label}">'
        f'Copy</button><pre tabindex="0" aria-label="{html.escape(what)}"><code>{inner}</code></pre></div>'
    )


def _highlight(code: str) -> str:
    """Mark keywords, strings, numbers and comments; what cannot be read as Python stays plain."""
    lines = code.splitlines(keepends=True)
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line))
    parts, done = [], 0
    try:
        for token in tokenize.generate_tokens(io.StringIO(code).readline):
            kind = _kind(token)
            if kind is None:
                continue
            start = starts[token.start[0] - 1] + token.start[1]
            end = starts[token.end[0] - 1] + token.end[1]
            parts += [
                html.escape(code[done:start]),
                f'<span class="hl-{kind}">{html.escape(code[start:end])}</span>',
            ]
            done = end
    except (tokenize.TokenError, SyntaxError):
        return html.escape(code)
    return "".join(parts) + html.escape(code[done:])


def _kind(token: tokenize.TokenInfo) -> str | None:
    if token.type == tokenize.STRING:
        return "string"
    if token.type == tokenize.NUMBER:
        return "number"
    if token.type == tokenize.COMMENT:
        return "comment"
    if token.type == tokenize.NAME and keyword.iskeyword(token.string):
        return "keyword"
    return None
