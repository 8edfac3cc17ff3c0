"""The language server: answers an editor over the language server protocol, with pygls."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from lsprotocol import types as lsp
from pygls.exceptions import JsonRpcException
from pygls.lsp.server import LanguageServer

from sagadsl.editing import completion, fixes, hover, navigation, outline, protocol, rename
from sagadsl.editing.protocol import TextLines, path_of
from sagadsl.editing.source import Edit, Source
from sagadsl.editing.workspace import Workspace, is_ours
from sagadsl.plugins.survey import Survey, Surveyed, survey

_PAUSE = 0.15
"""Seconds without a key after which what is typed is checked."""
_REQUEST_FAILED = -32803
_WATCHED = ("**/*.py", "**/sagadsl.toml", "**/pyproject.toml", "**/*.saga.yaml", "**/*.saga.yml")
REREAD = "sagadsl.rereadActivities"
"""The command that looks for the installed activities once more."""


class SagaServer(LanguageServer):
    """One server for one editor.

    Args:
        modules: Local modules with activities, beside those of the settings.
        plugins: Whether it looks for installed activities at all.
    """

    def __init__(self, version: str, modules: Sequence[str] = (), *, plugins: bool = True) -> None:
        super().__init__("sagadsl", version)
        self.files = Workspace()
        self._modules, self._plugins = tuple(modules), plugins
        self._waiting: asyncio.TimerHandle | None = None
        self._looking: asyncio.Task[None] | None = None
        self._told = ""

    # what the editor has

    def begin(self) -> None:
        """Take over the folders of the editor, and look for what is installed."""
        folders = (path_of(uri) for uri in self.workspace.folders)
        root = path_of(self.workspace.root_uri) if self.workspace.root_uri else None
        self.files.folders = [*dict.fromkeys(each for each in (*folders, root) if each is not None)]
        self.look()

    def look(self) -> None:
        """Look for the installed activities, then check everything again."""
        if self._plugins and (self._looking is None or self._looking.done()):
            self._looking = asyncio.get_running_loop().create_task(self._look())

    async def _look(self) -> None:
        folder = self.files.folders[0] if self.files.folders else Path.cwd()
        found = await asyncio.to_thread(survey, self._modules, folder)
        self.files.activities = Surveyed(found)
        self._tell(found)
        self.check()

    def _tell(self, found: Survey) -> None:
        if found.failure and found.failure != self._told:
            self.window_show_message(lsp.ShowMessageParams(lsp.MessageType.Warning, f"sagadsl: {found.failure}"))
        self._told = found.failure

    def take(self, uri: str) -> None:
        """Take over what has been typed in a file, and check all open files when nothing more comes for a while."""
        path = path_of(uri)
        if path is not None and is_ours(path):
            self.files.open[path] = self.workspace.get_text_document(uri).source
        elif path is None:
            return
        self._check_soon()

    def leave(self, uri: str) -> None:
        """Forget what was typed in a file that has been closed."""
        path = path_of(uri)
        if path is not None and self.files.open.pop(path, None) is not None:
            self.text_document_publish_diagnostics(lsp.PublishDiagnosticsParams(uri, []))
            self._check_soon()

    def _check_soon(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
        self._waiting = asyncio.get_running_loop().call_later(_PAUSE, self.check)

    def check(self) -> None:
        """Tell the editor what is wrong with each open file; one may be a child or a library of another."""
        if self._plugins and self.files.activities is None:
            return  # the survey ends with a check: before it every activity would be unknown, or none
        with self.files.as_typed():
            for path in tuple(self.files.open):
                self._publish(path)

    def _publish(self, path: Path) -> None:
        uri = self.uri_of(path)
        source, lines = self.source(path), self.lines(path)
        if source is None:
            return
        found = [protocol.diagnostic(source, lines, each, uri) for each in source.problems]
        version = self.workspace.get_text_document(uri).version
        self.text_document_publish_diagnostics(lsp.PublishDiagnosticsParams(uri, found, version))

    # what requests are about

    def uri_of(self, path: Path) -> str:
        """Return the URI of a file, as the editor spells it if it has it open."""
        for uri in self.workspace.text_documents:
            if path_of(uri) == path:
                return str(uri)
        return path.as_uri()

    def source(self, path: Path) -> Source | None:
        """Return a file as it is now."""
        return self.files.source(path)

    def lines(self, path: Path) -> TextLines:
        """Return the lines of a file as this editor counts them."""
        source = self.files.open.get(path.resolve())
        if source is None:
            try:
                source = path.read_text("utf-8")
            except (OSError, UnicodeDecodeError):
                source = ""
        encoding = self.server_capabilities.position_encoding or "utf-16"
        return TextLines(source, str(getattr(encoding, "value", encoding)))

    def place(
        self, document: lsp.TextDocumentIdentifier, position: lsp.Position
    ) -> tuple[Source, TextLines, int] | None:
        """Return the file of a request, its lines and the offset; ``None`` if it is none of ours."""
        path = path_of(document.uri)
        if path is None or not is_ours(path):
            return None
        source, lines = self.source(path), self.lines(path)
        return None if source is None else (source, lines, lines.offset(position))

    def edit(self, edits: list[Edit]) -> lsp.WorkspaceEdit:
        """Return changes of files for the editor."""
        paths = {each.path.resolve() for each in edits}
        found = protocol.workspace_edit(edits, {path: self.lines(path) for path in paths})
        found.changes = {self.uri_of(_file(uri)): changes for uri, changes in (found.changes or {}).items()}
        return found


def _file(uri: str) -> Path:
    path = path_of(uri)
    assert path is not None
    return path


def serve(reader: BinaryIO, writer: BinaryIO, version: str, modules: Sequence[str], *, plugins: bool) -> None:
    """Serve one editor until it says goodbye."""
    server = SagaServer(version, modules, plugins=plugins)
    _follow(server)
    _answer(server)
    _change(server)
    server.start_io(reader, writer)


def _follow(server: SagaServer) -> None:
    """Register what the editor tells of its files."""

    @server.feature(lsp.INITIALIZED)
    async def initialized(ls: SagaServer, _params: lsp.InitializedParams) -> None:
        ls.begin()
        watches = ls.client_capabilities.workspace and ls.client_capabilities.workspace.did_change_watched_files
        if watches and watches.dynamic_registration:
            options = lsp.DidChangeWatchedFilesRegistrationOptions(
                [lsp.FileSystemWatcher(glob_pattern=each) for each in _WATCHED]
            )
            watched = lsp.Registration("sagadsl.files", lsp.WORKSPACE_DID_CHANGE_WATCHED_FILES, options)
            await ls.client_register_capability_async(lsp.RegistrationParams([watched]))

    @server.feature(lsp.TEXT_DOCUMENT_DID_OPEN)
    async def opened(ls: SagaServer, params: lsp.DidOpenTextDocumentParams) -> None:
        ls.take(params.text_document.uri)

    @server.feature(lsp.TEXT_DOCUMENT_DID_CHANGE)
    async def changed(ls: SagaServer, params: lsp.DidChangeTextDocumentParams) -> None:
        ls.take(params.text_document.uri)

    @server.feature(lsp.TEXT_DOCUMENT_DID_SAVE)
    async def saved(ls: SagaServer, params: lsp.DidSaveTextDocumentParams) -> None:
        ls.take(params.text_document.uri)

    @server.feature(lsp.TEXT_DOCUMENT_DID_CLOSE)
    async def closed(ls: SagaServer, params: lsp.DidCloseTextDocumentParams) -> None:
        ls.leave(params.text_document.uri)

    @server.feature(lsp.WORKSPACE_DID_CHANGE_WATCHED_FILES)
    async def touched(ls: SagaServer, params: lsp.DidChangeWatchedFilesParams) -> None:
        if any(not each.uri.endswith((".yaml", ".yml")) for each in params.changes):
            ls.look()
        ls.check()

    @server.feature(lsp.WORKSPACE_DID_CHANGE_WORKSPACE_FOLDERS)
    async def moved(ls: SagaServer, _params: lsp.DidChangeWorkspaceFoldersParams) -> None:
        ls.begin()

    @server.command(REREAD)
    async def reread(ls: SagaServer) -> None:
        ls.look()


def _answer(server: SagaServer) -> None:
    """Register what the editor asks about a place."""
    triggers = lsp.CompletionOptions(trigger_characters=[".", "{", "|", " ", ":"])

    @server.feature(lsp.TEXT_DOCUMENT_COMPLETION, triggers)
    async def complete(ls: SagaServer, params: lsp.CompletionParams) -> lsp.CompletionList | None:
        with ls.files.as_typed():
            place = ls.place(params.text_document, params.position)
            if place is None:
                return None
            source, lines, offset = place
            found = completion.proposals(source, offset)
            return lsp.CompletionList(False, [protocol.completion_item(lines, each) for each in found])

    @server.feature(lsp.TEXT_DOCUMENT_HOVER)
    async def said(ls: SagaServer, params: lsp.HoverParams) -> lsp.Hover | None:
        with ls.files.as_typed():
            place = ls.place(params.text_document, params.position)
            found = None if place is None else hover.hover(place[0], place[2])
            if place is None or found is None:
                return None
            return lsp.Hover(lsp.MarkupContent(lsp.MarkupKind.Markdown, found.text), place[1].range(found.range))

    @server.feature(lsp.TEXT_DOCUMENT_DEFINITION)
    async def defined(ls: SagaServer, params: lsp.DefinitionParams) -> lsp.Location | None:
        with ls.files.as_typed():
            place = ls.place(params.text_document, params.position)
            found = None if place is None else navigation.target(ls.files, place[0], place[2])
            if found is None:
                return None
            path = found.path.resolve()
            return lsp.Location(ls.uri_of(path), ls.lines(path).range(found.range))

    @server.feature(lsp.TEXT_DOCUMENT_REFERENCES)
    async def named(ls: SagaServer, params: lsp.ReferenceParams) -> list[lsp.Location]:
        with ls.files.as_typed():
            place = ls.place(params.text_document, params.position)
            if place is None:
                return []
            own = navigation.target(ls.files, place[0], place[2])
            found = rename.named(ls.files, place[0], place[2])
            if not params.context.include_declaration and own is not None:
                found = [each for each in found if (each.path, each.range) != (own.path, own.range)]
            paths = [each.path.resolve() for each in found]
            return [
                lsp.Location(ls.uri_of(path), ls.lines(path).range(each.range))
                for path, each in zip(paths, found, strict=True)
            ]

    @server.feature(lsp.TEXT_DOCUMENT_DOCUMENT_SYMBOL)
    async def outlined(ls: SagaServer, params: lsp.DocumentSymbolParams) -> list[lsp.DocumentSymbol]:
        with ls.files.as_typed():
            place = ls.place(params.text_document, lsp.Position(0, 0))
            return [] if place is None else [protocol.symbol(place[1], each) for each in outline.outline(place[0])]


def _change(server: SagaServer) -> None:
    """Register what changes files."""

    @server.feature(lsp.TEXT_DOCUMENT_PREPARE_RENAME)
    async def prepared(ls: SagaServer, params: lsp.PrepareRenameParams) -> lsp.PrepareRenamePlaceholder | None:
        with ls.files.as_typed():
            place = ls.place(params.text_document, params.position)
            found = None if place is None or place[0].is_suite else rename.renamable(place[0], place[2])
            if place is None or found is None:
                return None
            return lsp.PrepareRenamePlaceholder(place[1].range(found.range), found.step)

    @server.feature(lsp.TEXT_DOCUMENT_RENAME, lsp.RenameOptions(prepare_provider=True))
    async def renamed(ls: SagaServer, params: lsp.RenameParams) -> lsp.WorkspaceEdit | None:
        with ls.files.as_typed():
            place = ls.place(params.text_document, params.position)
            if place is None:
                return None
            try:
                return ls.edit(rename.rename(ls.files, place[0], place[2], params.new_name))
            except rename.CannotRename as refused:
                raise JsonRpcException(str(refused), _REQUEST_FAILED) from None

    kinds = lsp.CodeActionOptions(code_action_kinds=[lsp.CodeActionKind.QuickFix])

    @server.feature(lsp.TEXT_DOCUMENT_CODE_ACTION, kinds)
    async def mended(ls: SagaServer, params: lsp.CodeActionParams) -> list[lsp.CodeAction]:
        with ls.files.as_typed():
            place = ls.place(params.text_document, params.range.start)
            return [] if place is None else _actions(ls, place[0], place[1], params)


def _actions(ls: SagaServer, source: Source, lines: TextLines, params: lsp.CodeActionParams) -> list[lsp.CodeAction]:
    asked = lines.part(params.range)
    found = []
    for problem in source.problems:
        there = source.place_of(problem)
        if there.end < asked.start or asked.end < there.start:
            continue
        about = protocol.diagnostic(source, lines, problem, params.text_document.uri)
        for fix in fixes.fixes(source, problem):
            found.append(
                lsp.CodeAction(
                    title=fix.title,
                    kind=lsp.CodeActionKind.QuickFix,
                    diagnostics=[about],
                    is_preferred=fix.is_likely,
                    edit=ls.edit([Edit(source.path, fix.range, fix.text)]),
                )
            )
    return found
