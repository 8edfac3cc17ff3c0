"""What an editor proposes while somebody writes, what it says of a word, and where a name leads."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from lsprotocol import types as lsp
from pygls.exceptions import JsonRpcException

from tests.cli.shell import inside
from tests.editing.editor import Editor, editor

DEFINITIONS = Path(__file__).parents[2] / "definitions"
TRANSFER = (DEFINITIONS / "transfer_money.saga.yaml").read_text("utf-8")
DEPOSIT = 'account: "{{ input.to_account }}", amount: "{{ input.amount }}"}'


@pytest.fixture(scope="module")
def user(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Editor]:
    """An editor with the shipped definitions in its folder."""
    folder = tmp_path_factory.mktemp("work")
    for name in ("transfer_money", "book_trip", "fulfil_order", "prepare_parcel"):
        for suffix in (".saga.yaml", ".saga-test.yaml"):
            shutil.copy(DEFINITIONS / f"{name}{suffix}", folder)
    with editor(folder) as found:
        found.open("transfer_money.saga.yaml")
        found.diagnostics("transfer_money.saga.yaml", lambda said: not said)  # so it knows what is installed
        yield found


def _with(new: str, old: str = f"input: {{{DEPOSIT}") -> str:
    assert TRANSFER.count(old) == 1
    return TRANSFER.replace(old, new)


LOOP = """\
sagadsl: 1
name: lines
input:
  type: object
  required: [lines]
  properties: {lines: {type: array, items: {type: object, properties: {sku: {type: string}}}}}
steps:
  - id: each
    for_each:
      items: input.lines
      as: line
      state: {count: 0}
      next: {count: "{{ state.§ }}"}
    steps:
      - {id: look, set: {sku: "{{ line.sku }}"}}
  - id: both
    parallel:
      - {id: left, sleep: 1s}
      - id: right
        needs: [§1]
        sleep: 1s
output: "{{ steps.each.output[0].look.§2 }}"
"""


def _loop(mark: str) -> str:
    """Return the text with a cursor at one of its marks."""
    text = LOOP.replace(mark, "\0", 1) if mark != "§" else LOOP.replace("§ ", "\0 ", 1)
    return text.replace("§1", "").replace("§2", "").replace("§", "").replace("\0", "§")


INPUT = ["amount", "fail", "from_account", "to_account"]
OUTPUT = ["account", "balance", "key", "reference"]
UNDO = """
    compensation:
      activity: bank.undo_deposit
      input: {key: "{{ step.idempotency_key }}"}"""
RETRY = [
    *("backoff_coefficient", "initial_interval", "maximum_attempts"),
    *("maximum_interval", "non_retryable_error_types", "use"),
]
CHOICE = "{{ 1 if input.amount > 2 else steps.withdraw.output.§ }}"


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (_with('input: {account: "{{ input.§ }}"}'), INPUT),
        (_with('input: {account: "{{ steps.§ }}"}'), ["withdraw"]),
        (_with('input: {account: "{{ steps.withdraw.§ }}"}'), ["error", "output", "status"]),
        (_with('input: {account: "{{ steps.withdraw.output.§ }}"}'), OUTPUT),
        (_with('input: {account: "{{ steps.withdraw.output.re§ }}"}'), OUTPUT),
        (_with(f'input: {{account: "{CHOICE}"}}'), OUTPUT),
        (_with('input: {account: "{{ §'), ["idempotency_key", "input", "saga", "steps"]),
        (_with("input: {account: {{ input.§"), INPUT),
        (_with("input: {account: '{{ input.§"), INPUT),
        (_with('input:\n      account: "{{ input.§\n      amount: 1'), INPUT),
        (_with("input:\n      account: >-\n        the account {{ input.§ }}\n        of somebody"), INPUT),
        (_with("if: input.§", f"input: {{{DEPOSIT}"), INPUT),
        (_with('input: {account: "🦆🦆 {{ input.§ }}"}'), INPUT),
        (_loop("§"), ["count"]),
        (_loop("§1"), ["left"]),
        (_loop("§2"), ["sku"]),
        (_with("input: {§}"), ["account", "amount"]),
        (_with("input: {amount: 3, §}"), ["account"]),
        (_with("input:\n      amount: 3\n      §"), ["account"]),
        (_with("on_error: §", f"input: {{{DEPOSIT}"), ["compensate", "continue", "pause"]),
        (
            _with(
                UNDO.replace('{key: "{{ step.idempotency_key }}"}', "\n        §").strip(), f"input: {{{DEPOSIT}{UNDO}"
            ),
            ["key"],
        ),
        (_with("retry: {§}", "retry: {non_retryable_error_types: [AccountClosed, UnknownAccount]}"), RETRY),
    ],
)
def test_exactly_what_may_stand_at_the_cursor_is_proposed(user: Editor, text: str, wanted: list[str]) -> None:
    """While the text around it is as broken as it is while somebody types."""
    assert sorted(each.label for each in user.proposed(text)) == wanted


def test_what_is_proposed_says_what_it_is(user: Editor) -> None:
    """Types, whether it may be missing, what a schema says of it; and the nearest or the required comes first."""
    fields = {each.label: each for each in user.proposed(_with('input: {account: "{{ input.§ }}"}'))}
    keys = user.proposed(_with("input:\n      §"))
    filters = [each.label for each in user.proposed(_with('input: {amount: "{{ input.amount | §'))]
    texts = [each.label for each in user.proposed(_with('input: {amount: "{{ input.to_account | §'))]

    assert fields["fail"].detail == "true or false, may be missing"
    assert "the last step fails" in str(fields["fail"].documentation)
    assert [(each.label, each.detail) for each in keys] == [
        ("account", "text, required"),
        ("amount", "a whole number, required"),
    ]
    assert "fixed" in filters
    assert "upper" not in filters
    assert "upper" in texts
    assert "fixed" not in texts


def test_activities_come_with_what_they_take_and_how_they_are_undone(user: Editor) -> None:
    found = {each.label: each for each in user.proposed(_with("activity: §", "activity: bank.deposit"))}
    text = str(getattr(found["bank.deposit"].documentation, "value", ""))

    assert found["bank.deposit"].detail == "Put money into an account."
    assert "`account` string, required" in text
    assert "undone by `bank.undo_deposit`" in text
    assert "- id: deposit\n  activity: bank.deposit" in text


def test_a_proposal_replaces_the_word_that_it_completes(user: Editor) -> None:
    """Also behind signs that take two places in UTF-16."""
    text = _with('input: {account: "🦆{{ input.to_a§cco }}", amount: 1}')
    proposal = next(each for each in user.proposed(text) if each.label == "to_account")
    assert isinstance(proposal.text_edit, lsp.TextEdit)
    start = proposal.text_edit.range.start
    line = text.split("\n")[start.line]

    assert line.encode("utf-16-le")[: 2 * start.character].decode("utf-16-le").endswith("{{ input.")


def test_keys_that_a_step_cannot_have_are_not_proposed(user: Editor) -> None:
    keys = [each.label for each in user.proposed(_with("§", f"input: {{{DEPOSIT}"))]

    assert {"input", "timeouts", "on_error", "pivot"} <= set(keys)
    assert not {"id", "activity", "for_each", "wait_for", "max_concurrency"} & set(keys)


def test_a_line_that_is_broken_elsewhere_hides_nothing(user: Editor) -> None:
    text = _with('input: {account: "{{ input.§ }}"}').replace("labels: {team: payments}", "labels: {team: [")

    assert [each.label for each in user.proposed(text)] == INPUT


def test_of_several_sagas_in_a_file_each_sees_its_own(user: Editor) -> None:
    text = (
        "sagadsl: 1\nsagas:\n  one:\n    input: {type: object, properties: {left: {type: string}}}\n    steps:\n"
        '      - {id: a, set: {x: "{{ input.§1 }}"}}\n  two:\n'
        "    input: {type: object, properties: {right: {type: string}}}\n"
        '    steps:\n      - {id: a, sleep: 1s}\n      - {id: b, set: {x: "{{ input.§2 }}"}}\n'
        "      - {id: c, saga: §3}\n"
    )

    def at(mark: str) -> str:
        return text.replace(mark, "\0").replace("§1", "").replace("§2", "").replace("§3", "one").replace("\0", "§")

    assert [each.label for each in user.proposed(at("§1"))] == ["left"]
    assert [each.label for each in user.proposed(at("§2"))] == ["right"]
    assert {"one", "transfer-money", "book-trip"} <= {each.label for each in user.proposed(at("§3"))}


@pytest.mark.parametrize(
    ("marked", "said"),
    [
        ("re§try: {initial_interval", "**Retry**\n\nA retry policy, or `none` for a single attempt."),
        ("activity: bank.dep§osit", "**bank.deposit** · sagadsl-bank"),
        ("steps.withdraw.output.bal§ance", "`steps.withdraw.output.balance`: a whole number"),
        ("steps.with§draw.output.balance", "**withdraw** · activity bank.withdraw\n\noutput: an object"),
        ("{{ in§put.from_account }}", "`input`: an object\n\n- `from_account`: text"),
        ("id: step_wi§th_error", "Stands for whatever else belongs to a transfer and may fail"),
    ],
)
def test_a_word_is_explained(user: Editor, marked: str, said: str) -> None:
    assert said in user.hover("transfer_money.saga.yaml", marked)


def test_a_name_leads_to_its_step_and_to_the_file_of_a_child(user: Editor) -> None:
    user.open("fulfil_order.saga.yaml")

    def target(name: str, marked: str) -> tuple[str, int] | None:
        params = lsp.DefinitionParams(user.document(name), user.at(name, marked))
        found = user.wait(user.client.text_document_definition_async(params))
        return (found.uri.rpartition("/")[2], found.range.start.line + 1) if isinstance(found, lsp.Location) else None

    line = TRANSFER[: TRANSFER.index("id: withdraw")].count("\n") + 1
    assert target("transfer_money.saga.yaml", "steps.withd§raw.output.reference") == ("transfer_money.saga.yaml", line)
    assert target("transfer_money.saga.yaml", "timeo§ut: 1h") is None
    text = user.texts["fulfil_order.saga.yaml"]
    child = text.partition("saga: ")[2].split("\n")[0]
    assert target("fulfil_order.saga.yaml", f"saga: {child[:4]}§{child[4:]}") == ("prepare_parcel.saga.yaml", 3)


def test_the_outline_has_the_steps_in_their_blocks(user: Editor) -> None:
    user.open("book_trip.saga.yaml")
    params = lsp.DocumentSymbolParams(user.document("book_trip.saga.yaml"))
    (saga,) = user.wait(user.client.text_document_document_symbol_async(params)) or ()
    assert isinstance(saga, lsp.DocumentSymbol)
    (book,) = saga.children or ()

    assert (saga.name, book.name, book.detail) == ("book-trip", "book", "parallel")
    assert [each.name for each in book.children or ()] == ["flight", "hotel", "car"]


def test_a_step_gets_another_name_everywhere_and_its_suite_still_passes(user: Editor, tmp_path: Path) -> None:
    """In expressions, in `needs`, and in all cases of its suite: of a step in a block, too."""
    for name, marked, new in (("transfer_money", "id: with§draw", "take"), ("book_trip", "id: ho§tel", "room")):
        file = f"{name}.saga.yaml"
        if file not in user.texts:
            user.open(file)
        params = lsp.RenameParams(user.document(file), user.at(file, marked), new)
        change = user.wait(user.client.text_document_rename_async(params))
        assert change is not None
        after = user.after(change)
        shutil.copy(user.folder / f"{name}.saga-test.yaml", tmp_path)
        for path, text in after.items():
            (tmp_path / path).write_text(text, "utf-8")

        assert set(after) == {file, f"{name}.saga-test.yaml"}
        assert inside("test", f"{name}.saga-test.yaml", cwd=tmp_path).code == 0, after
        old = marked.replace("§", "").removeprefix("id: ")
        assert f"steps.{old}" not in after[file]


def test_every_place_that_names_a_step_is_found(user: Editor) -> None:
    name = "transfer_money.saga.yaml"
    context = lsp.ReferenceContext(include_declaration=False)
    params = lsp.ReferenceParams(context, user.document(name), user.at(name, "id: depo§sit"))
    found = user.wait(user.client.text_document_references_async(params)) or ()
    own = [each.range.start.line for each in found if each.uri.endswith(name)]

    assert [TRANSFER.split("\n")[line].strip() for line in own] == ['to_balance: "{{ steps.deposit.output.balance }}"']
    assert len([each for each in found if each.uri.endswith("transfer_money.saga-test.yaml")]) > 5


@pytest.mark.parametrize(
    ("marked", "new", "why"),
    [
        ("id: with§draw", "deposit", "there is a step `deposit` already"),
        ("id: with§draw", "Take-It", "`Take-It` cannot be the id of a step"),
        ("time§out: 1h", "x", "there is no name of a step here"),
    ],
)
def test_what_cannot_be_renamed_says_why(user: Editor, marked: str, new: str, why: str) -> None:
    name = "transfer_money.saga.yaml"
    with pytest.raises(JsonRpcException, match=why):
        user.wait(
            user.client.text_document_rename_async(lsp.RenameParams(user.document(name), user.at(name, marked), new))
        )


def test_a_rename_that_would_break_something_is_refused(user: Editor) -> None:
    """A filter reads the outputs of a block by the ids of its steps, in a text that nobody can rename safely."""
    text = (
        "sagadsl: 1\nname: n\nsteps:\n  - id: loop\n    for_each: {items: [1, 2]}\n    steps:\n"
        "      - {id: a, set: {x: 1}}\n"
        "output: \"{{ steps.loop.output | map(attribute='a.x') | sum }}\"\n"
    )
    user.open("refused.saga.yaml", text)
    where = user.at("refused.saga.yaml", "{id: a§,")

    with pytest.raises(JsonRpcException, match=r"`refused\.saga\.yaml` would be wrong in line 8"):
        user.wait(
            user.client.text_document_rename_async(lsp.RenameParams(user.document("refused.saga.yaml"), where, "b"))
        )
