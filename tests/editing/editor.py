"""An editor for tests: a language client of pygls that starts `sagadsl lsp` and talks to it over its streams."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from lsprotocol import types as lsp
from pygls.lsp.client import LanguageClient

from tests.cli.shell import environment
from tests.patience import PATIENCE

T = TypeVar("T")
CURSOR = "§"


class Editor:
    """A running server, with what it has said of the files that are open."""

    def __init__(self, folder: Path, runner: asyncio.Runner, client: LanguageClient) -> None:
        self.folder, self.client = folder, client
        self.texts: dict[str, str] = {}
        self.versions: dict[str, int] = {}
        self.published: dict[str, lsp.PublishDiagnosticsParams] = {}
        self.messages: list[str] = []
        self._runner = runner

    def wait(self, what: Awaitable[T]) -> T:
        """Return the answer to a request."""

        async def answered() -> T:
            return await asyncio.wait_for(what, PATIENCE)

        return self._runner.run(answered())

    def uri(self, name: str) -> str:
        return (self.folder / name).as_uri()

    def open(self, name: str, text: str | None = None) -> None:
        """Open a file, with what it has on disk unless *text* is given."""
        self.texts[name] = (self.folder / name).read_text("utf-8") if text is None else text
        self.versions[name] = 1
        item = lsp.TextDocumentItem(self.uri(name), "yaml", 1, self.texts[name])
        self.client.text_document_did_open(lsp.DidOpenTextDocumentParams(item))

    def type(self, name: str, text: str) -> None:
        """Let a file that is open have another text, which nobody saves."""
        self.texts[name] = text
        self.versions[name] += 1
        self._changed(name, [lsp.TextDocumentContentChangeWholeDocument(text)])

    def put(self, name: str, place: lsp.Range, text: str) -> None:
        """Type in one place of a file."""
        self.texts[name] = edited(self.texts[name], [lsp.TextEdit(place, text)])
        self.versions[name] += 1
        self._changed(name, [lsp.TextDocumentContentChangePartial(place, text)])

    def _changed(self, name: str, changes: list[Any]) -> None:
        document = lsp.VersionedTextDocumentIdentifier(self.versions[name], self.uri(name))
        self.client.text_document_did_change(lsp.DidChangeTextDocumentParams(document, changes))

    def document(self, name: str) -> lsp.TextDocumentIdentifier:
        return lsp.TextDocumentIdentifier(self.uri(name))

    def at(self, name: str, marked: str) -> lsp.Position:
        """Return the position of the cursor in a part of a file's text, such as ``steps.pay§``."""
        before, _, after = marked.partition(CURSOR)
        text = self.texts[name]
        assert text.count(before + after) >= 1, f"{before + after!r} is not in {name}"
        return position(text, text.index(before + after) + len(before))

    def diagnostics(
        self, name: str, fits: Callable[[list[lsp.Diagnostic]], bool] | None = None
    ) -> list[lsp.Diagnostic]:
        """Wait for what is wrong with the newest text of a file; with *fits*, until that fits."""

        async def come() -> list[lsp.Diagnostic]:
            while True:
                said = self.published.get(self.uri(name))
                newest = said is not None and said.version == self.versions[name]
                if said is not None and newest and (fits is None or fits(list(said.diagnostics))):
                    return list(said.diagnostics)
                await asyncio.sleep(0.02)

        try:
            return self.wait(come())
        except TimeoutError:
            raise AssertionError(f"never fits: {self.published.get(self.uri(name))}, {self.messages}") from None

    def complete(self, name: str, marked: str) -> list[lsp.CompletionItem]:
        params = lsp.CompletionParams(self.document(name), self.at(name, marked))
        found = self.wait(self.client.text_document_completion_async(params))
        return list(getattr(found, "items", None) or [])

    def proposed(self, text: str, name: str = "typed.saga.yaml") -> list[lsp.CompletionItem]:
        """Let a file have a text with a cursor in it, and complete there."""
        whole = text.replace(CURSOR, "")
        self.type(name, whole) if name in self.texts else self.open(name, whole)
        params = lsp.CompletionParams(self.document(name), position(whole, text.index(CURSOR)))
        found = self.wait(self.client.text_document_completion_async(params))
        return sorted(getattr(found, "items", None) or [], key=lambda each: each.sort_text or each.label)

    def hover(self, name: str, marked: str) -> str:
        params = lsp.HoverParams(self.document(name), self.at(name, marked))
        found = self.wait(self.client.text_document_hover_async(params))
        return "" if found is None else str(getattr(found.contents, "value", ""))

    def actions(self, name: str, diagnostic: lsp.Diagnostic) -> list[lsp.CodeAction]:
        params = lsp.CodeActionParams(self.document(name), diagnostic.range, lsp.CodeActionContext([diagnostic]))
        return [each for each in self.wait(self.client.text_document_code_action_async(params)) or [] if each.edit]  # type: ignore[union-attr,misc]

    def after(self, change: lsp.WorkspaceEdit) -> dict[str, str]:
        """Return the texts of the files that a change of the workspace changes, as they are after it."""
        found = {}
        for uri, edits in (change.changes or {}).items():
            name = Path(uri.removeprefix("file://")).relative_to(self.folder).as_posix()
            text = self.texts.get(name) or (self.folder / name).read_text("utf-8")
            found[name] = edited(text, edits)  # type: ignore[arg-type]
        return found


@contextmanager
def editor(folder: Path, *options: str, **env: str) -> Iterator[Editor]:
    """Start the server in a folder, as an editor does that has this folder open, and end it in an orderly way."""
    with asyncio.Runner() as runner:
        client = LanguageClient("tests", "1")
        found = Editor(folder, runner, client)

        @client.feature(lsp.TEXT_DOCUMENT_PUBLISH_DIAGNOSTICS)
        def told(params: lsp.PublishDiagnosticsParams) -> None:
            found.published[params.uri] = params

        @client.feature(lsp.WINDOW_SHOW_MESSAGE)
        def said(params: lsp.ShowMessageParams) -> None:
            found.messages.append(params.message)

        command = (sys.executable, "-m", "sagadsl", "lsp", *options)
        runner.run(client.start_io(*command, cwd=folder, env=environment(**env)))
        asked = lsp.InitializeParams(
            capabilities=lsp.ClientCapabilities(),
            workspace_folders=[lsp.WorkspaceFolder(folder.as_uri(), folder.name)],
        )
        found.wait(client.initialize_async(asked))
        client.initialized(lsp.InitializedParams())
        try:
            yield found
        finally:
            found.wait(client.shutdown_async(None))
            client.exit(None)
            process = client._server
            assert process is not None
            code = found.wait(process.wait())
            runner.run(client.stop())
        assert code == 0


def position(text: str, offset: int) -> lsp.Position:
    """Return a position as the protocol counts it: in UTF-16."""
    before = text[:offset].split("\n")
    return lsp.Position(len(before) - 1, len(before[-1].encode("utf-16-le")) // 2)


def edited(text: str, edits: list[lsp.TextEdit]) -> str:
    """Return a text after changes, all of which are about the text as it was."""

    def offset(at: lsp.Position) -> int:
        lines = text.split("\n")
        start = sum(len(line) + 1 for line in lines[: at.line])
        return start + len(lines[at.line].encode("utf-16-le")[: 2 * at.character].decode("utf-16-le"))

    places = sorted(((offset(each.range.start), offset(each.range.end), each.new_text) for each in edits), reverse=True)
    for start, end, new in places:
        text = text[:start] + new + text[end:]
    return text
