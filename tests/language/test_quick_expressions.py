"""What is read without Jinja2 is read as Jinja2 reads it, to the place of each node."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sagadsl.language.expressions import grammar, quick
from sagadsl.language.expressions.problem import Unparsable

ROOT = Path(__file__).parents[2]
WORDS = (
    *("a", "input", "_x", "steps.s.output", "true", "None", "null", "not", "and", "or", "in", "is", "if", "else"),
    *("default", "defined", "map", "0", "7", "12.5", "1.", "1e3", "0x1f", "01", "1_0", "''", "'t'", '"u v"', "'\\n'"),
    *("'é'", "é", "+", "-", "*", "/", "//", "%", "**", "~", "==", "!=", "<", ">=", "=", "!", "(", ")", "[", "]", "{"),
    *("}", ",", ":", ".", "|", "}}", "-}}", "#", "\n", "\t", "\u00a0", ";", "*a", "k="),
)
FEW = settings(max_examples=400, suppress_health_check=[HealthCheck.too_slow], deadline=None)


def _atoms() -> st.SearchStrategy[str]:
    return st.sampled_from(
        ["a", "input.x", "steps.s.output.n", "1", "2.5", "'t'", '"u"', "true", "none", "null", "a['k']"]
    )


def _larger(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    infix = ["+", "-", "*", "/", "//", "%", "**", "~", "==", "!=", "<", "<=", ">", ">=", "in", "not in", "and", "or"]
    many = st.lists(inner, max_size=3).map(", ".join)
    return st.one_of(
        st.builds("{} {} {}".format, inner, st.sampled_from(infix), inner),
        st.builds("{}{}".format, st.sampled_from(["-", "+", "not ", "- -"]), inner),
        st.builds("({})".format, inner),
        st.builds("[{}]".format, many),
        st.builds("({}, {})".format, inner, inner),
        st.builds('{{"k": {}, "m": {}}}'.format, inner, inner),
        st.builds("{}[{}].f".format, inner, inner),
        st.builds("{}[{}:{}]".format, inner, inner, inner),
        st.builds("{} | f".format, inner),
        st.builds("{} | f({}, k={}) | g".format, inner, many, inner),
        st.builds("{} is {}defined".format, inner, st.sampled_from(["", "not "])),
        st.builds("{} is t({})".format, inner, many),
        st.builds("{} is t {}".format, inner, inner),
        st.builds("{} if {} else {}".format, inner, inner, inner),
        st.builds("{} if {}".format, inner, inner),
        st.builds("{}({})".format, inner, many),
    )


def _same(source: str) -> bool:
    """Whether the quick reader has read a text, after a comparison with Jinja2."""
    found = quick.tree(source)
    if found is None:
        return False
    assert found == grammar.tree(source), source
    return True


@FEW
@given(st.recursive(_atoms(), _larger, max_leaves=12))
def test_what_is_read_without_jinja2_is_the_same_tree(source: str) -> None:
    _same(source)


@FEW
@given(st.lists(st.sampled_from(WORDS), max_size=12), st.sampled_from(["", " "]))
def test_no_text_is_read_that_jinja2_refuses(words: list[str], between: str) -> None:
    _same(between.join(words))


@pytest.mark.parametrize(
    "source",
    [
        "input.amount * 1.2 - fee",
        "'a' ~ input.name | upper ~ '!'",
        "steps.pay.output.id | default('none', true)",
        "input.items | map(attribute='price') | sum > 100 and not input.vip",
        "x is not defined or x in ['a', 'b',]",
        "{'id': input.id, 'lines': [1, 2]} if input.id is defined else {}",
        "-a | abs ** 2 if (b or c) not in d else e[0].f",
    ],
)
def test_the_usual_expressions_are_read_without_jinja2(source: str) -> None:
    assert _same(source)


@pytest.mark.parametrize("source", ["(" * 21 + "a" + ")" * 21, "- " * 30 + "a", "a\u00a0", "f(1)", "a b", "1 +", ""])
def test_what_it_does_not_know_is_left_to_jinja2(source: str) -> None:
    assert quick.tree(source) is None


def test_nearly_all_expressions_of_this_repository_are_read_without_jinja2() -> None:
    """They are what people write; with those of the pages about mistakes, few of them are anything else."""
    texts = [path.read_text(encoding="utf-8") for path in ROOT.glob("definitions/**/*.saga.yaml")]
    sources = {found[1].strip() for text in texts for found in re.finditer(r"\{\{(.+?)\}\}", text)}
    left = [source for source in sources if not _same(source) and _jinja2_takes(source)]
    assert len(sources) > 100
    assert len(left) <= len(sources) // 20, left


def _jinja2_takes(source: str) -> bool:
    try:
        grammar.tree(source)
    except Unparsable:
        return False
    return True


def test_a_check_of_a_usual_definition_does_not_load_jinja2() -> None:
    """It took a fifth of the check."""
    file = str(ROOT / "definitions/transfer_money.saga.yaml")
    program = (
        "import sys\nfrom sagadsl.cli.entry import run\n"
        f"assert run(['--quiet', 'validate', '--no-plugins', {file!r}]) == 0\n"
        "assert not {'jinja2', 'jsonschema', 'difflib', 'logging'} & set(sys.modules)\n"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 0, ended.stderr
