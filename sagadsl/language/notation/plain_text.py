"""Other people's text as one line that steers nothing."""

from __future__ import annotations

from sagadsl.later import compiled_later

# Control characters could steer the terminal, and bidirectional ones make it show other code than the file has. Some of
# them, and what is no character, cannot stand in XML.
UNSAFE = compiled_later(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufeff\ufffe\uffff]"
)


def clean(text: str) -> str:
    """Return *text* on one line, without anything that could steer a terminal."""
    one_line = " ".join(text.split("\n")) if "\n" in text else text
    return UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", one_line.replace("\t", " "))
