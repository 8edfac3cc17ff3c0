"""The types of our own errors are written in one place, and tell no two things."""

from __future__ import annotations

import ast
from pathlib import Path

import sagadsl
from sagadsl.language import own_errors

_PRODUCT = Path(sagadsl.__file__).parent
_TYPES = {name: value for name, value in vars(own_errors).items() if name.isupper() and isinstance(value, str)}
_ALSO_WORDS = {"timeout", "cancelled"}
"""Keys of definitions and words of a status are spelled like these."""


def test_no_other_module_writes_the_type_of_one_of_our_errors() -> None:
    found = []
    for module in sorted(_PRODUCT.rglob("*.py")):
        tree = ast.parse(module.read_text(encoding="utf-8"))
        exports = {id(part) for each in tree.body if _is_exports(each) for part in ast.walk(each)}
        for each in ast.walk(tree):
            is_type = isinstance(each, ast.Constant) and each.value in {*_TYPES.values()} - _ALSO_WORDS
            if is_type and id(each) not in exports and module.name != "own_errors.py":
                found.append(f"{module.relative_to(_PRODUCT)}: {ast.unparse(each)}")

    assert found == []


def test_each_type_has_one_name() -> None:
    assert len(_TYPES) == len(set(_TYPES.values())) > 20


def _is_exports(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == "__all__"
