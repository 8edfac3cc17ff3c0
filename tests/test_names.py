"""One word, one thing: what a class is called is said of no other."""

from __future__ import annotations

import ast
from collections import defaultdict
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "sagadsl"


def test_no_two_modules_have_a_class_of_the_same_name() -> None:
    """Whoever searches for a name finds one class; those that begin with `_` stay in their module."""
    found: dict[str, list[str]] = defaultdict(list)
    for path in sorted(PACKAGE.rglob("*.py")):
        if path.parent.name == "migrations":  # Django wants one class of one name in each of them
            continue
        for node in ast.parse(path.read_text("utf-8")).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                found[node.name].append(str(path.relative_to(PACKAGE)))

    assert len(found) > 200
    assert {name: where for name, where in found.items() if len(where) > 1} == {}
