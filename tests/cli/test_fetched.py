"""Definitions by their digest, from a registry, an address and a bucket: what is taken, and what is refused unread."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
import os
import tarfile
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from sagadsl.trust import unpacking
from tests.cli.shell import Ran, inside
from tests.cli.workers import running
from tests.conftest import Server
from tests.temporal.test_storages import serving

HELLO = """\
sagadsl: 1
name: hello
version: "1"
steps: [{id: a, set: {text: "hello"}}]
output: "{{ steps.a.output.text }}"
"""
TITLE = "org.opencontainers.image.title"
LOGIN = base64.b64encode(b"ann:pass word").decode()


class Registry:
    """A registry whose files are in memory; it may ask for a login, and send elsewhere for blobs."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.asked: list[tuple[str, str]] = []
        self.wants = ""
        self.url = self.elsewhere = self.realm = ""

    @property
    def host(self) -> str:
        return self.url.removeprefix("http://")

    def blob(self, data: bytes) -> str:
        digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
        self.files[f"/v2/sagas/blobs/{digest}"] = data
        return digest

    def push(self, *layers: dict[str, Any], **more: Any) -> str:
        """Keep a manifest, and return the address of it."""
        raw = json.dumps({"schemaVersion": 2, "layers": layers, **more}).encode()
        digest = f"sha256:{hashlib.sha256(raw).hexdigest()}"
        self.files[f"/v2/sagas/manifests/{digest}"] = raw
        return f"oci://{self.host}/sagas@{digest}"

    def layer(self, data: bytes, **annotations: str) -> dict[str, Any]:
        return {"digest": self.blob(data), "size": len(data), "annotations": annotations}

    def answer(self, path: str, login: str) -> tuple[int, dict[str, str], bytes]:
        if self.realm:
            return 401, {"WWW-Authenticate": f'Bearer realm="{self.realm}/token"'}, b""
        if path.startswith("/token?"):
            return (200, {}, b'{"token": "t0k3n"}') if login == f"Basic {LOGIN}" else (401, {}, b"")
        if self.wants == "basic" and login != f"Basic {LOGIN}":
            return 401, {"WWW-Authenticate": 'Basic realm="here"'}, b""
        if self.wants == "bearer" and login != "Bearer t0k3n":
            challenge = f'Bearer realm="{self.url}/token",service="r",scope="repository:sagas:pull"'
            return 401, {"WWW-Authenticate": challenge}, b""
        if self.elsewhere and "/blobs/" in path:
            return 307, {"Location": self.elsewhere + path}, b""
        found = self.files.get(path)
        return (404, {}, b"") if found is None else (200, {}, found)


def _serving(registry: Registry) -> tuple[ThreadingHTTPServer, Thread]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            login = self.headers.get("Authorization", "")
            registry.asked.append((self.path, login))
            status, headers, body = registry.answer(self.path, login)
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever)
    thread.start()
    registry.url = f"http://127.0.0.1:{server.server_port}"
    return server, thread


@dataclass(frozen=True)
class Docker:
    """What docker has on a machine: its config.json, and programs that keep logins."""

    folder: Path

    def config(self, **kept: object) -> None:
        (self.folder / "config.json").write_text(json.dumps(kept))

    def helper(self, name: str, text: str) -> None:
        program = self.folder / "bin" / f"docker-credential-{name}"
        program.write_text(text)
        program.chmod(0o755)


@pytest.fixture
def docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Docker:
    folder = tmp_path / "docker"
    (folder / "bin").mkdir(parents=True)
    monkeypatch.setenv("DOCKER_CONFIG", str(folder))
    monkeypatch.setenv("PATH", f"{folder / 'bin'}:{os.environ['PATH']}")
    return Docker(folder)


@pytest.fixture
def registry(docker: Docker) -> Iterator[Registry]:
    made = Registry()
    server, thread = _serving(made)
    try:
        yield made
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _tar(*files: tuple[str, str], change: Callable[[tarfile.TarInfo], None] | None = None) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, text in files:
            info = tarfile.TarInfo(name)
            info.size = len(text.encode())
            if change is not None:
                change(info)
            archive.addfile(info, io.BytesIO(text.encode()))
    return out.getvalue()


def _verified(*arguments: str) -> Ran:
    """Let a command look at what is there: that no digest of it is trusted shows that it was read."""
    return inside("verify", *arguments, "--allow-digest", "0" * 64, "--json")


def _found(ran: Ran) -> list[str]:
    return [each["saga"] for each in json.loads(ran.out).get("definitions", [])]


GOOD = _tar(("defs/hello.saga.yaml", HELLO))


@pytest.mark.parametrize("wants", ["", "basic", "bearer"])
def test_an_image_is_pulled_with_the_login_that_docker_has_kept(registry: Registry, docker: Docker, wants: str) -> None:
    """Two layers, one compressed; blobs lie on another host, which gets no password."""
    docker.config(auths={registry.host: {"auth": LOGIN}})
    other = Registry()
    server, thread = _serving(other)
    try:
        second = HELLO.replace("hello", "second")
        layers = (registry.layer(GOOD), registry.layer(gzip.compress(_tar(("defs/second.saga.yaml", second)))))
        address = registry.push(*layers)
        registry.wants, registry.elsewhere, other.files = wants, other.url, registry.files
        assert sorted(_found(_verified(address.replace("/sagas@", "/sagas:v1@")))) == ["hello", "second"]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    assert len(other.asked) == 2
    assert {login for _, login in other.asked} == {""}


HELPER = """\
#!/usr/bin/env python3
import json, sys
assert sys.argv[1:] == ["get"]
place = sys.stdin.read()
if place != {host!r}:
    print("credentials not found in native keychain")
    sys.exit(1)
print(json.dumps({{"ServerURL": place, "Username": {user!r}, "Secret": {secret!r}}}))
"""


@pytest.mark.parametrize("whose", ["this registry's", "everyone's"])
def test_a_helper_of_docker_is_asked_for_the_login(whose: str, registry: Registry, docker: Docker) -> None:
    user, _, secret = base64.b64decode(LOGIN).decode().partition(":")
    docker.helper("test", HELPER.format(host=registry.host, user=user, secret=secret))
    docker.helper("wrong", HELPER.format(host=registry.host, user="eve", secret="x"))
    if whose == "everyone's":
        docker.config(credsStore="test", auths={registry.host: {}})
    else:
        wrong = {registry.host: {"auth": "eDp5"}}
        docker.config(credsStore="wrong", credHelpers={registry.host: "test"}, auths=wrong)
    registry.wants = "basic"

    assert _found(_verified(registry.push(registry.layer(GOOD)))) == ["hello"]


def test_a_registry_that_asks_nothing_gets_no_login(registry: Registry, docker: Docker) -> None:
    """So a helper that is missing, locked or slow hinders nobody who needs no login."""
    docker.config(credsStore="nowhere")

    assert _found(_verified(registry.push(registry.layer(GOOD)))) == ["hello"]


def test_without_a_helper_of_its_own_a_registry_s_login_is_in_the_file(registry: Registry, docker: Docker) -> None:
    docker.config(credsStore="nowhere", credHelpers={registry.host: ""}, auths={registry.host: {"auth": LOGIN}})
    registry.wants = "basic"

    assert _found(_verified(registry.push(registry.layer(GOOD)))) == ["hello"]


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("test", "", "`docker-credential-test`, which docker's config.json names, cannot be run"),
        ("../test", "", "names the helper `../test`, which is no name of a program"),
        (
            "test",
            "#!/bin/sh\necho hush >&2\nexit 3\n",
            "`docker-credential-test get` ended with code 3; run it by hand",
        ),
        ("test", "#!/bin/sh\necho hush\n", "`docker-credential-test get` printed no login"),
        ("test", HELPER.replace("{host!r}", "place").format(user="\ud800", secret="hush"), "printed no login"),
        ("test", HELPER.replace("{host!r}", "place").format(user="<token>", secret="hush"), "an identity token"),
        (
            "test",
            HELPER.format(host="elsewhere", user="x", secret="hush"),
            "`docker login` or `oras login` keeps the answer",
        ),
    ],
)
def test_what_a_helper_fails_to_do_is_told_without_what_it_printed(
    name: str, text: str, said: str, registry: Registry, docker: Docker
) -> None:
    if text:
        docker.helper(name, text)
    docker.config(credsStore=name)
    registry.wants = "basic"
    ran = _verified(registry.push(registry.layer(GOOD)))

    assert (ran.code, "SD993" in ran.err, said in ran.err, "hush" in ran.out + ran.err) == (3, True, True, False), (
        ran.err
    )


def test_no_login_goes_where_a_host_behind_the_registry_wants_it(registry: Registry, docker: Docker) -> None:
    docker.config(auths={registry.host: {"auth": LOGIN}})
    other = Registry()
    server, thread = _serving(other)
    try:
        address = registry.push(registry.layer(GOOD))
        registry.elsewhere = other.realm = other.url
        ran = _verified(address)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    assert (ran.code, "answers with 401" in ran.err) == (3, True), ran.err
    assert [login for _, login in other.asked] == [""]


def test_what_oras_has_pushed_is_files_by_their_titles(registry: Registry) -> None:
    one = registry.layer(HELLO.encode(), **{TITLE: "hello.saga.yaml"})
    folder = registry.layer(
        gzip.compress(_tar(("more/second.saga.yaml", HELLO.replace("hello", "second")))),
        **{TITLE: "more", "io.deis.oras.content.unpack": "true"},
    )
    assert sorted(_found(_verified(registry.push(one, folder)))) == ["hello", "second"]


def test_without_a_login_the_registry_s_question_is_told(registry: Registry) -> None:
    registry.wants = "basic"
    ran = _verified(registry.push(registry.layer(GOOD)))
    assert (ran.code, "SD993" in ran.err, "`docker login`" in ran.err) == (3, True, True)


@pytest.mark.parametrize("name", ["sagas.tar", "sagas.tar.gz", "hello.saga.yaml"])
def test_an_address_gives_an_archive_or_one_file(registry: Registry, name: str) -> None:
    data = {"sagas.tar": GOOD, "sagas.tar.gz": gzip.compress(GOOD), "hello.saga.yaml": HELLO.encode()}[name]
    registry.files[f"/{name}"] = data
    address = f"{registry.url}/{name}#sha256={hashlib.sha256(data).hexdigest()}"
    assert _found(_verified(address)) == ["hello"]

    registry.files[f"/{name}"] = data + b"\n"
    ran = _verified(address)
    assert (ran.code, "SD993" in ran.err, "nothing of it was read" in ran.err) == (3, True, True)


@pytest.mark.parametrize("kind", ["oci", "archive", "file"])
@pytest.mark.parametrize("command", ["worker", "verify"])
def test_a_mistake_is_told_at_the_address_from_which_the_definition_came(
    registry: Registry, kind: str, command: str
) -> None:
    """The folder in which it lies means nothing to anybody, and is gone when the command ends."""
    wrong = HELLO.replace("set:", "sett:")
    data = wrong.encode() if kind == "file" else _tar(("defs/hello.saga.yaml", wrong))
    name = "hello.saga.yaml" if kind == "file" else "sagas.tar"
    registry.files[f"/{name}"] = data
    address = f"{registry.url}/{name}#sha256={hashlib.sha256(data).hexdigest()}"
    if kind == "oci":
        address = registry.push(registry.layer(data))
    ran = inside(command, address, "--json") if command == "verify" else inside(command, address)

    place = address if kind == "file" else f"{address}/defs/hello.saga.yaml"
    assert ran.code == 1
    assert f" --> {place}:4:" in ran.err, ran.err
    assert "/sagadsl-" not in ran.out + ran.err
    if command == "verify":
        assert {each["file"] for each in json.loads(ran.out)["error"]["findings"]} == {place}


def test_a_bucket_gives_an_object_by_the_credentials_of_aws(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    with serving() as bucket:
        monkeypatch.setenv("AWS_ENDPOINT_URL", bucket.url)
        bucket.objects["/sagas/releases/1.tgz"] = data = gzip.compress(GOOD)
        digest = hashlib.sha256(data).hexdigest()
        assert _found(_verified(f"s3://sagas/releases/1.tgz#sha256={digest}")) == ["hello"]
        ran = _verified(f"s3://sagas/releases/2.tgz#sha256={digest}")
    assert (ran.code, "SD993" in ran.err, "404" in ran.err) == (3, True, True)


def _linked(info: tarfile.TarInfo) -> None:
    info.type, info.linkname, info.size = tarfile.SYMTYPE, "/etc/passwd", 0


def _no_number(info: tarfile.TarInfo) -> None:
    info.pax_headers = {"GNU.sparse.size": "many"}


def _hard(info: tarfile.TarInfo) -> None:
    info.type, info.linkname, info.size = tarfile.LNKTYPE, "hello.saga.yaml", 0


def _device(info: tarfile.TarInfo) -> None:
    info.type, info.size = tarfile.CHRTYPE, 0


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (_tar(("../out.saga.yaml", HELLO)), "leads out of the archive"),
        (_tar(("/tmp/out.saga.yaml", HELLO)), "leads out of the archive"),
        (_tar(("a/../../out.saga.yaml", HELLO)), "leads out of the archive"),
        (_tar(("a\\b.saga.yaml", HELLO)), "leads out of the archive"),
        (_tar(("a.saga.yaml", HELLO), change=_linked), "neither a plain file nor a folder"),
        (_tar(("a.saga.yaml", HELLO), change=_hard), "neither a plain file nor a folder"),
        (_tar(("a.saga.yaml", HELLO), change=_device), "neither a plain file nor a folder"),
        (_tar((".wh.hello.saga.yaml", "")), "deletes what an earlier layer has"),
        (_tar(("x" * 300, HELLO)), "cannot be written"),
        (_tar(("a", HELLO), ("a/b.saga.yaml", HELLO)), "cannot be written"),
        (_tar(("readme.md", "hi")), "there is no file `*.saga.yaml` in it"),
        (GOOD[:700], "it is no tar archive"),
        (_tar(("a.saga.yaml", HELLO), change=_no_number), "it is no tar archive"),
        (b"not an archive" * 100, "it is no tar archive"),
        (gzip.compress(GOOD)[:-9], "cannot be decompressed"),
    ],
)
def test_an_archive_with_anything_but_files_below_its_folder_is_refused(
    registry: Registry, data: bytes, says: str
) -> None:
    ran = _verified(registry.push(registry.layer(data)))
    assert (ran.code, "SD993" in ran.err) == (3, True), ran.err
    assert says in ran.err


def test_what_grows_beyond_the_bounds_is_refused_however_small_it_came(registry: Registry) -> None:
    big = gzip.compress(_tar(("a.saga.yaml", "x" * (unpacking.MOST_BYTES // 2 + 1))), 9)
    assert len(big) < 100_000
    for layers in ([big, big], [gzip.compress(bytes(2 * unpacking.MOST_BYTES), 9)]):
        ran = _verified(registry.push(*(registry.layer(each) for each in layers)))
        assert (ran.code, "bytes when it is unpacked" in ran.err) == (3, True), ran.err
    files = _tar(*((f"{number}.txt", "") for number in range(unpacking.MOST_FILES + 1)))
    assert "more than 10,000 files" in _verified(registry.push(registry.layer(files))).err


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda made: made.push(manifests=[]), "it is the index of several images"),
        (lambda made: made.push({"digest": "md5:1"}), "which is no SHA-256"),
        (lambda made: made.push({"digest": "sha256:" + "0" * 64}), "answers with 404"),
        (lambda made: made.push(layers={}), "no manifest with layers"),
        (
            lambda made: made.push(made.layer(b"x", **{TITLE: "../x"})),
            "is no name of a file",
        ),
    ],
)
def test_a_manifest_that_is_none_is_refused(registry: Registry, change: Callable[[Registry], str], says: str) -> None:
    ran = _verified(change(registry))
    assert (ran.code, "SD993" in ran.err) == (3, True), ran.err
    assert says in ran.err


def test_what_has_another_digest_is_not_looked_into(registry: Registry) -> None:
    address = registry.push(layer := registry.layer(GOOD))
    registry.files[f"/v2/sagas/blobs/{layer['digest']}"] = _tar(("../out.saga.yaml", HELLO))
    assert "nothing of it was read" in _verified(address).err
    registry.files[address.partition(registry.host)[2].replace("/sagas@", "/v2/sagas/manifests/")] = b"{"
    assert "nothing of it was read" in _verified(address).err


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ("oci://registry.example.com/sagas:latest", "it names no digest"),
        ("https://example.com/sagas.tgz", "it names no digest"),
        ("https://example.com/sagas.tgz#sha256=abc", "it names no digest"),
        (f"https://ann:secret@example.com/sagas.tgz#sha256={'0' * 64}", "without a password"),
        (f"http://example.com/sagas.tgz#sha256={'0' * 64}", "it is not encrypted"),
        (f"oci://127.0.0.1:1/sagas@sha256:{'0' * 64}", "onnect"),
    ],
)
def test_an_address_that_cannot_be_right_is_told(address: str, says: str) -> None:
    for command in ("verify", "worker", "serve"):
        options = () if command == "verify" else ("--address", "127.0.0.1:1")
        ran = inside(command, address, *options, *(("--allow-digest", "0" * 64) if command == "verify" else ()))
        assert (ran.code, "SD993" in ran.err) == (3, True), ran.err
        assert says in ran.err
        assert "secret" not in ran.err


@pytest.mark.temporal
def test_a_worker_serves_what_a_registry_has_and_asks_for_signatures_all_the_same(
    registry: Registry, server: Server, tmp_path: Path
) -> None:
    (tmp_path / "hello.saga.yaml").write_text(HELLO)
    assert inside("keygen", "a.pem", cwd=tmp_path).code == 0
    assert inside("sign", "hello.saga.yaml", "--key", "a.pem", cwd=tmp_path).code == 0
    signature = (tmp_path / "hello.saga.yaml.sig").read_text()
    options = ("--address", server.address, "--task-queue", f"fetched-{uuid.uuid4()}")
    unsigned = registry.push(registry.layer(GOOD))
    assert "SD991" in inside("worker", unsigned, "--trusted-key", "a.pem.pub", *options, cwd=tmp_path).err

    signed = registry.push(registry.layer(_tar(("hello.saga.yaml", HELLO), ("hello.saga.yaml.sig", signature))))
    with running(tmp_path, "--definitions", signed, "--trusted-key", "a.pem.pub", *options) as worker:
        worker.wait_for("ready")
        assert inside("run", "hello", *options, "-q", cwd=tmp_path).out == '"hello"\n'
