"""Plain sentences set for the page: minus signs, exponents, code, and numbers that are not torn from their units.

Escapes first and marks up after, so that nothing in a sentence can become markup by itself.
"""

from __future__ import annotations

import re

from markupsafe import Markup, escape

FIGURE_SPACE = "\u2007"  # as wide as a digit
_NO_BREAK = "\u00a0"
_MINUS_SIGN = re.compile(rf"(?<![^\s(\[=^{FIGURE_SPACE}±])-(?=\d)")
_POWER = re.compile(r"\^(\u2212?\d+(?:\.\d+)?)")
_CODE = re.compile(r"`([^`]+)`")
_FLAG = re.compile(r"(--set (?:&#?\w+;|[^\s;,()])+)")
_UNIT = re.compile(r"(\d|\)|\]) (nats|bits)\b")


def capital(text: str) -> str:
    """The text with a capital at its start, unless it starts with a name such as ``model.width``.

    >>> capital("half the steps"), capital("model.width=64 has")
    ('Half the steps', 'model.width=64 has')
    """
    first = text.split(" ", 1)[0].rstrip(":,;")
    return text if any(mark in first for mark in "._=-:/") else text[:1].upper() + text[1:]


def signed(text: str) -> str:
    """Hyphens that are minus signs, as minus signs.

    >>> signed("-0.001 ± 0.008 at half-width")
    '−0.001 ± 0.008 at half-width'
    """
    return _MINUS_SIGN.sub("\u2212", text)


def unbroken(text: str) -> str:
    """A number and its uncertainty on one line, with proper minus signs."""
    return signed(text).replace(" ± ", f"{_NO_BREAK}±{_NO_BREAK}")


def prose(text: str) -> Markup:
    """A sentence as HTML.

    >>> prose("L = 2 d^-0.47, see `sevenfold runs`: 0.1 ± 0.2 nats <b>")
    Markup('L = 2 d<sup>−0.47</sup>, see <code>sevenfold runs</code>: 0.1\\xa0±\\xa00.2\\xa0nats &lt;b&gt;')
    """
    html = str(escape(signed(capital(text))))
    html = _POWER.sub(r"<sup>\1</sup>", html)
    html = _CODE.sub(r"<code>\1</code>", html)
    html = _FLAG.sub(lambda found: f'<code class="flag">{found[1].replace(" ", _NO_BREAK)}</code>', html)
    html = _UNIT.sub(rf"\1{_NO_BREAK}\2", unbroken(html))
    return Markup(html)
