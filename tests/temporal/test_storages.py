"""Large payloads in a folder and in a bucket: what lies where, who reads it, what is left of a forgotten saga."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import unquote

import pytest
from temporalio.client import Client
from temporalio.converter import DataConverter, StorageDriverClaim, StorageDriverRetrieveContext

from sagadsl.engine.facts import How
from sagadsl.errors import SagadslError
from sagadsl.temporal import client as sagas
from sagadsl.temporal.ask import forgetting, recovery
from sagadsl.temporal.ask.forgetting import forget, kept_runs
from sagadsl.temporal.ask.replaying import HistoryReplayer
from sagadsl.temporal.link.codec import CodecMissing
from sagadsl.temporal.link.encryption import encrypting
from sagadsl.temporal.link.keys import EncryptionKey
from sagadsl.temporal.link.shown import SettingsUnusable
from sagadsl.temporal.link.storage import StorageFailed, references_in, with_storage
from sagadsl.temporal.link.storage_setting import StorageSetting, storage_setting
from sagadsl.temporal.read.histories import runs_of
from sagadsl.temporal.read.trace import trace
from tests.conftest import Server
from tests.engine.scenes import gives, no, plain, saga, slow
from tests.patience import PATIENCE
from tests.temporal.play import SDK_RACE, converter, stage

pytestmark = [pytest.mark.temporal, pytest.mark.filterwarnings(SDK_RACE)]

LARGE = "hush-" * 10_000
_STEPS = (plain("a", input="{{ input }}"), plain("b", input="{{ steps.a.output }}"))
DEFINITION = saga(*_STEPS, output="done", name="large")


@dataclass
class Bucket:
    """What a service that speaks as that of AWS holds, by path, and the requests that it got."""

    url: str = ""
    objects: dict[str, bytes] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)


@contextmanager
def serving() -> Iterator[Bucket]:
    """Serve the four requests that a storage makes; each has to be signed."""
    bucket = Bucket()

    class Handler(BaseHTTPRequestHandler):
        def _answer(self, status: int, body: bytes = b"") -> None:
            signed = self.headers.get("Authorization", "").startswith("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/")
            bucket.asked.append(f"{self.command} {unquote(self.path)}")
            self.send_response(status if signed else 403)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def do_PUT(self) -> None:
            bucket.objects[unquote(self.path)] = self.rfile.read(int(self.headers["Content-Length"]))
            self._answer(200)

        def do_HEAD(self) -> None:
            self._answer(200 if unquote(self.path) in bucket.objects else 404)

        def do_GET(self) -> None:
            found = bucket.objects.get(unquote(self.path.partition("?")[0]))
            self._answer(404 if found is None else 200, found or b"")

        def do_DELETE(self) -> None:
            bucket.objects.pop(unquote(self.path), None)
            self._answer(204)

        def log_message(self, *_: Any) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        bucket.url = f"http://127.0.0.1:{server.server_port}"
        try:
            yield bucket
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    with serving() as made:
        yield made


def _setting(kind: str, tmp_path: Path, bucket: Bucket) -> StorageSetting:
    if kind == "folder":
        return StorageSetting("file:x", "test", "folder", str(tmp_path / "kept"), 10_000)
    return StorageSetting("s3://sagas", "test", "bucket", "sagas", 10_000, "eu-central-1", bucket.url)


def _kept(kind: str, tmp_path: Path, bucket: Bucket) -> dict[str, bytes]:
    if kind == "bucket":
        return bucket.objects
    return {str(each): each.read_bytes() for each in (tmp_path / "kept").rglob("*") if each.is_file()}


@pytest.mark.parametrize("kind", ["folder", "bucket"])
@pytest.mark.parametrize("encrypted", [False, True], ids=["in clear", "encrypted"])
def test_large_payloads_lie_in_the_storage_until_the_saga_is_forgotten(
    kind: str, encrypted: bool, tmp_path: Path, bucket: Bucket, server: Server
) -> None:
    """The history replays, the trace says how large they are, and what others have stored stays."""
    coding = encrypting([EncryptionKey("one", b"1" * 32)]) if encrypted else DataConverter.default
    storing = with_storage(coding, _setting(kind, tmp_path, bucket))

    async def scenario() -> tuple[dict[str, bytes], dict[str, bytes], bytes, Any, Any, str]:
        async with stage(server.address, {"do.a": gives(LARGE + "a"), "do.b": gives("b")}, codec=storing) as made:
            other = await made.start(DEFINITION, LARGE)
            await made.end(other)
            before = dict(_kept(kind, tmp_path, bucket))
            started = await made.start(DEFINITION, LARGE)
            assert (await made.end(started)).status == "completed"
            history = await made.client.get_workflow_handle(started.id).fetch_history()
            assert any(True for event in history.events for _ in references_in(event))
            raw = b"".join(event.SerializeToString() for event in history.events)
            traced = await trace(made.client, started.id)
            player = HistoryReplayer(made.client.data_converter, made.client.namespace)
            async for recorded in runs_of(made.client, started.id):
                assert not (await player.replay(recorded)).problem
            during = dict(_kept(kind, tmp_path, bucket))
            found = await forget(made.client, started.id, patience=PATIENCE)
            return before, during, raw, traced, found, other.id

    before, during, raw, traced, found, other = asyncio.run(scenario())
    assert len(during) == len(before) * 2 >= 4
    assert b"hush-hush" not in raw
    assert any(b"hush-hush" in each for each in during.values()) is not encrypted
    assert traced.input.keys() == {"bytes"}
    assert traced.input["bytes"] > len(LARGE)
    assert (found.left, found.unreached, found.stored) == ((), 0, len(before))
    assert _kept(kind, tmp_path, bucket) == before
    assert all(other in each for each in before)


@pytest.mark.parametrize("kind", ["folder", "bucket"])
def test_the_work_of_a_closed_run_is_taken_up_with_what_lies_in_the_storage(
    kind: str, tmp_path: Path, bucket: Bucket, server: Server
) -> None:
    """Encrypted; `recover` goes on with a killed saga, `redrive` begins an undone one anew, and a child saga gets all.

    Whoever lacks the storage is told so.
    """
    storing = with_storage(encrypting([EncryptionKey("one", b"1" * 32)]), _setting(kind, tmp_path, bucket))
    bare = encrypting([EncryptionKey("one", b"1" * 32)])
    kid = saga(plain("k", input="{{ input }}"), name="kid")
    steps = [plain("a", input="{{ input }}"), plain("b", input="{{ steps.a.output }}")]
    definition = saga(
        *steps, {"id": "kid", "saga": "kid", "input": "{{ steps.b.output }}"}, output="done", name="large"
    )
    script = {"do.a": gives(LARGE + "a"), "do.b": slow(PATIENCE), "do.k": gives("k")}

    async def scenario() -> list[Any]:
        async with stage(server.address, script, codec=storing) as made:
            killed = await made.start(definition, LARGE, children={"kid": kid})
            await made.until("b")
            await sagas.terminate(made.client, killed.id, "x")
            without = await Client.connect(server.address, data_converter=converter(bare))
            with pytest.raises(SagadslError) as unreadable:
                await recovery.look(without, killed.id, "recover", How.FORWARD)
            recorded = await anext(runs_of(without, killed.id))
            with pytest.raises(CodecMissing):
                await HistoryReplayer(without.data_converter, without.namespace).replay(recorded)
            plan = await recovery.look(made.client, killed.id, "recover", How.FORWARD)
            made.script = script | {"do.b": no()}
            ended = await made.end(await recovery.take_up(made.client, plan, by="ann", why="w"))
            again = await recovery.look(made.client, killed.id, "redrive")
            made.script = script | {"do.b": gives(LARGE + "b")}
            last = await made.end(await recovery.take_up(made.client, again, by="ann", why="w"))
            traced = await trace(made.client, killed.id)
            assert made.sent["b"] == LARGE + "a"
            assert made.sent["k"] == LARGE + "b"
            player = HistoryReplayer(made.client.data_converter, made.client.namespace)
            for run in await kept_runs(made.client, killed.id):
                async for recorded in runs_of(made.client, run.id, run.run_id):
                    assert not (await player.replay(recorded)).problem
            found = await forget(made.client, killed.id, patience=PATIENCE)
            return [unreadable.value.code, str(unreadable.value), ended.status, again.how, last.status, traced, found]

    code, unreadable, ended, how, last, traced, found = asyncio.run(scenario())
    assert (ended, how, last) == ("compensated", None, "completed")
    assert (code, unreadable) == (
        "SD915",
        "the data cannot be read here: it lies in an external storage, and this process has none",
    )
    assert traced.input.keys() == {"bytes"}
    assert [each.input["bytes"] > len(LARGE) for each in traced.calls] == [True] * 3
    assert (found.left, found.unreached) == ((), 0)
    assert found.stored >= 5
    assert len(_kept(kind, tmp_path, bucket)) < found.stored  # what an attempt has stored again is in no history


def test_files_are_for_their_owner_alone(tmp_path: Path, server: Server) -> None:
    storing = with_storage(DataConverter.default, _setting("folder", tmp_path, Bucket()))

    async def scenario() -> None:
        async with stage(server.address, {"do.a": gives(1)}, codec=storing) as made:
            await made.end(await made.start(DEFINITION, LARGE))

    asyncio.run(scenario())
    kept = [each for each in (tmp_path / "kept").rglob("*") if each.is_file()]
    assert kept
    assert all(re.fullmatch("[0-9a-f]{64}", each.name) for each in kept)  # nothing half written is left
    assert {each.stat().st_mode & 0o077 for each in kept} == {0}


@pytest.mark.parametrize(
    ("kind", "claim"),
    [
        ("folder", {"key": "../../etc/passwd"}),
        ("folder", {"key": f"../x/{'a' * 64}"}),
        ("folder", {"key": "/etc/passwd"}),
        ("folder", {}),
        ("bucket", {"bucket": "others", "key": "v0/a", "hash_algorithm": "sha256", "hash_value": "a"}),
        ("bucket", {"bucket": "sagas", "key": "secrets/a", "hash_algorithm": "sha256", "hash_value": "a"}),
    ],
)
def test_a_reference_to_something_else_is_refused(
    kind: str, claim: dict[str, str], tmp_path: Path, bucket: Bucket
) -> None:
    """Whoever may write to a namespace may write a reference: it opens no file and no bucket of the worker's."""
    storage = with_storage(DataConverter.default, _setting(kind, tmp_path, bucket)).external_storage
    assert storage is not None
    (driver,) = storage.drivers
    with pytest.raises(StorageFailed, match="never stored here"):
        asyncio.run(driver.retrieve(StorageDriverRetrieveContext(), [StorageDriverClaim(claim)]))
    assert bucket.asked == []


def test_what_is_gone_from_the_storage_is_told(tmp_path: Path, server: Server) -> None:
    storing = with_storage(DataConverter.default, _setting("folder", tmp_path, Bucket()))
    storage = storing.external_storage
    assert storage is not None
    claim = StorageDriverClaim({"key": f"default/a/{'0' * 64}"})
    with pytest.raises(StorageFailed, match="no such file") as told:
        asyncio.run(storage.drivers[0].retrieve(StorageDriverRetrieveContext(), [claim]))
    assert told.value.code == "SD919"


def test_who_forgets_without_the_storage_is_told_what_stays(tmp_path: Path, server: Server) -> None:
    storing = with_storage(DataConverter.default, _setting("folder", tmp_path, Bucket()))

    async def scenario() -> Any:
        async with stage(server.address, {"do.a": gives(1)}, codec=storing) as made:
            started = await made.start(DEFINITION, LARGE)
            await made.end(started)
        async with stage(server.address, {}) as bare:
            return await forget(bare.client, started.id, patience=PATIENCE)

    found = asyncio.run(scenario())
    assert (found.left, found.stored) == ((), 0)
    assert found.unreached >= 1
    assert found.as_json()["forgotten"] is False
    assert any(each.is_file() for each in (tmp_path / "kept").rglob("*"))


def test_a_run_that_begins_while_its_saga_is_forgotten_keeps_what_it_has_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: Server
) -> None:
    """It has the input of the run before it, which lies in the same file. A new worker has to read it."""
    storing = with_storage(DataConverter.default, _setting("folder", tmp_path, Bucket()))
    definition = saga({"id": "ask", "wait_for": {"signal": "go"}}, plain("a", input="{{ input }}"), name="large")
    until_gone = forgetting._until_gone

    async def scenario() -> tuple[Any, str, Any]:
        async with stage(server.address, {"do.a": gives(LARGE + "a")}, codec=storing) as made:
            started = await made.start(definition, LARGE)
            await made.client.get_workflow_handle(started.id).signal("go")
            await made.end(started)

            async def meanwhile(*of: Any) -> Any:
                left = await until_gone(*of)
                again = await made.start(definition, LARGE, id=started.id, again=True)
                await made.until_status(again, lambda found: "go" in found["waiting_for"])
                return left

            monkeypatch.setattr(forgetting, "_until_gone", meanwhile)
            found = await forget(made.client, started.id, patience=PATIENCE)
        async with stage(server.address, {"do.a": gives("a")}, codec=storing, queue=made.queue) as later:
            await later.client.get_workflow_handle(started.id).signal("go")
            return found, (await later.end(started)).status, later.sent["a"]

    found, status, sent = asyncio.run(scenario())
    assert [each.is_open for each in found.left] == [True]
    assert found.stored >= 1  # the output of the first run; the input of both stays
    assert (status, sent) == ("completed", LARGE)


def test_the_flag_wins_over_the_variable_and_this_over_the_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert storage_setting(None, {}).is_default
    (tmp_path / "sagadsl.toml").write_text('[storage]\nbucket = "b"\nregion = "eu"\nthreshold = 5000\n')
    own = storage_setting(None, {})
    assert (own.kind, own.where, own.region, own.threshold) == ("bucket", "b", "eu", 5000)
    assert storage_setting("s3://b", {}) == own
    assert storage_setting(None, {"SAGADSL_STORAGE": "file:/x"}).value == "file:/x"
    assert storage_setting("s3://c", {"SAGADSL_STORAGE": "file:/x"}).where == "c"


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ("", "has to name a `folder` or a `bucket`"),
        ('folder = "a"\nbucket = "b"', "has to name a `folder` or a `bucket`"),
        ('folder = "a"\nregion = "eu"', "has `region`"),
        ("folder = 1", "`folder` of"),
        ('folder = "a"\nthreshold = 10', "no number of bytes from 1,000"),
    ],
)
def test_a_table_that_cannot_be_right_is_refused(
    table: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sagadsl.toml").write_text(f"[storage]\n{table}\n")
    with pytest.raises(SettingsUnusable, match=re.escape(words)):
        storage_setting(None, {})
    (tmp_path / "sagadsl.toml").unlink()
    with pytest.raises(SettingsUnusable, match="names no storage"):
        storage_setting("/just/a/path", {})
