"""One mistake in a text does not hide the next one, and each has its own place."""

from __future__ import annotations

import re
from pathlib import Path

from tests.cli.shell import inside

SAGA = """\
sagadsl: 1
name: several
input: {type: object, required: [b], properties: {b: {type: string}}}
steps:
  - id: a
    set:
      text: "{{ input.b. }} and {{ input.b | }}, {{ input.b. }} {% if %} {{ inptu.b }} {{ input.c }}"
      open: "{{ (input.b }} {{ input.b. }}"
      quoted: "{{ 'b }} {{ input.b | uper }}"
"""


def test_each_mistake_of_a_text_is_found_at_its_place(tmp_path: Path) -> None:
    (tmp_path / "several.saga.yaml").write_text(SAGA)
    checked = inside("validate", "several.saga.yaml", "--format", "concise", cwd=tmp_path)
    found = re.findall(r"^several.saga.yaml:(\d+):(\d+): error\[(SD\d+)\]", checked.out, re.M)
    lines = SAGA.splitlines()
    marked = [(lines[int(line) - 1][int(column) - 1 :], code) for line, column, code in found]
    beginnings = [
        (". }} and", "SD301"),
        ("| }},", "SD301"),
        (". }} {% if", "SD301"),
        ("{% if %}", "SD301"),
        ("inptu.b", "SD302"),
        ("c }}", "SD306"),
        ("(input.b", "SD301"),
        (". }}", "SD301"),
        ("'b }}", "SD301"),
        ("uper }}", "SD301"),
    ]
    assert [code for _, code in marked] == [code for _, code in beginnings], checked.out
    for (text, _), (beginning, _) in zip(marked, beginnings, strict=True):
        assert text.startswith(beginning), checked.out
