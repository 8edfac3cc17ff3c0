"""Text as XML can hold it: the forms of JUnit share this."""

from __future__ import annotations

import re
from xml.sax.saxutils import escape, quoteattr

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def attribute(text: str) -> str:
    """Return *text* between quotes, as the value of an attribute."""
    return quoteattr(_clean(text))


def content(text: str) -> str:
    """Return *text* as the content of an element."""
    return escape(_clean(text))


def _clean(text: str) -> str:
    """Replace what XML cannot hold."""
    return _NOT_XML.sub("\ufffd", text)
