"""What the schema finds in a definition, for tests."""

from __future__ import annotations

import textwrap

from sagadsl.diagnostics.findings import Finding
from sagadsl.language.document import Document, parse
from sagadsl.language.schema import definition


def read(text: str) -> Document:
    document, findings = parse(text, "test.saga.yaml")

    assert findings == ()
    return document


def check(text: str) -> list[Finding]:
    return list(definition.check(read(text)))


def step(body: str, top: str = "") -> list[Finding]:
    """Check a definition of one step, given as the lines of its mapping."""
    lines = textwrap.indent(textwrap.dedent(body).strip(), "    ")
    return check(f"sagadsl: 1\nname: test\n{top}steps:\n  -\n{lines}\n")


def only(findings: list[Finding]) -> Finding:
    assert len(findings) == 1, findings
    return findings[0]


def brief(findings: list[Finding]) -> list[tuple[str, str]]:
    return [(finding.code, finding.message) for finding in findings]
