"""Encrypted payloads: the form that other SDKs read, keys and where they come from, and what chooses a codec."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from temporalio.api.common.v1 import Payload
from temporalio.api.failure.v1 import Failure
from temporalio.exceptions import ApplicationError

from sagadsl.temporal.link.codec import CodecFailed, PatientCodec, patient
from sagadsl.temporal.link.encryption import EncryptionCodec, NotDecrypted, encrypting
from sagadsl.temporal.link.flags import Flags
from sagadsl.temporal.link.keys import EncryptionKey, KeyUnusable, key_of, read_keys, source_in, source_of
from sagadsl.temporal.link.remote_codec import RemoteCodec
from sagadsl.temporal.link.settings import resolve
from sagadsl.temporal.link.shown import SettingsUnusable
from sagadsl.temporal.wire.codec_growth import Stretch
from tests.needs import need
from tests.patience import PATIENCE

SECRET, OTHER = b"test-key-test-key-test-key-test!", b"o" * 32
PLAIN = Payload(metadata={"encoding": b"json/plain"}, data=b'"card hush-4111"')
NO_FILE = {"disable_config_file": True}


def _one(*keys: EncryptionKey) -> EncryptionCodec:
    return EncryptionCodec(keys)


def _encoded(codec: EncryptionCodec, payload: Payload = PLAIN) -> Payload:
    return asyncio.run(codec.encode([payload]))[0]


def _decoded(codec: EncryptionCodec, payload: Payload) -> Payload:
    return asyncio.run(codec.decode([payload]))[0]


def test_what_a_sample_of_temporal_has_encrypted_is_read() -> None:
    """Written here as the samples of the SDKs write it: the nonce, then the whole payload by AES-GCM."""
    nonce = os.urandom(12)
    sealed = nonce + AESGCM(SECRET).encrypt(nonce, PLAIN.SerializeToString(), None)
    metadata = {"encoding": b"binary/encrypted", "encryption-key-id": b"test-key-id"}

    assert _decoded(_one(EncryptionKey("test-key-id", SECRET)), Payload(metadata=metadata, data=sealed)) == PLAIN


def test_what_is_encrypted_is_read_as_a_sample_of_temporal_reads_it() -> None:
    sealed = _encoded(_one(EncryptionKey("test-key-id", SECRET)))

    assert dict(sealed.metadata) == {"encoding": b"binary/encrypted", "encryption-key-id": b"test-key-id"}
    opened = AESGCM(SECRET).decrypt(sealed.data[:12], sealed.data[12:], None)
    assert Payload.FromString(opened) == PLAIN
    assert b"hush-4111" not in sealed.SerializeToString()


NODE = """
const [doing, secret, data] = process.argv.slice(1);
const bytes = Buffer.from(data, 'base64');
const uses = ['encrypt', 'decrypt'];
crypto.subtle.importKey('raw', Buffer.from(secret), {name: 'AES-GCM'}, false, uses).then(async (key) => {
  if (doing === 'decrypt') {
    return crypto.subtle.decrypt({name: 'AES-GCM', iv: bytes.subarray(0, 12), tagLength: 128}, key, bytes.subarray(12));
  }
  const iv = crypto.getRandomValues(new Uint8Array(12));
  const sealed = await crypto.subtle.encrypt({name: 'AES-GCM', iv, tagLength: 128}, key, bytes);
  return Buffer.concat([iv, Buffer.from(sealed)]);
}).then((made) => process.stdout.write(Buffer.from(made).toString('base64')));
"""
"""AES-GCM of another implementation, called as the encryption sample for TypeScript calls it."""


def _in_node(doing: str, data: bytes) -> bytes:
    command = [*need("node"), "-e", NODE, "--", doing, SECRET.decode(), base64.b64encode(data).decode()]
    return base64.b64decode(subprocess.run(command, capture_output=True, check=True, timeout=PATIENCE).stdout)


def test_a_worker_in_another_language_reads_and_writes_it() -> None:
    codec = _one(EncryptionKey("test-key-id", SECRET))
    assert Payload.FromString(_in_node("decrypt", _encoded(codec).data)) == PLAIN

    metadata = {"encoding": b"binary/encrypted", "encryption-key-id": b"test-key-id"}
    sealed = _in_node("encrypt", PLAIN.SerializeToString())
    assert _decoded(codec, Payload(metadata=metadata, data=sealed)) == PLAIN


def test_no_two_payloads_are_encrypted_alike() -> None:
    codec = _one(EncryptionKey("a", SECRET))
    assert _encoded(codec).data != _encoded(codec).data


def test_the_first_key_encrypts_and_every_key_decrypts() -> None:
    old, new = EncryptionKey("old", SECRET), EncryptionKey("new", OTHER)
    before, after = _encoded(_one(old)), _encoded(_one(new, old))

    assert after.metadata["encryption-key-id"] == b"new"
    assert [_decoded(_one(new, old), each) for each in (before, after, PLAIN)] == [PLAIN] * 3


@pytest.mark.parametrize(
    ("key", "why"),
    [
        (EncryptionKey("other", SECRET), "it is encrypted with key `a`, and this process has only `other`"),
        (
            EncryptionKey("a", OTHER),
            "key `a` of this process does not open it: it is another key under this id, or the data",
        ),
    ],
)
def test_a_key_that_is_missing_or_wrong_is_one_clear_error_without_further_attempts(
    key: EncryptionKey, why: str
) -> None:
    sealed = _encoded(_one(EncryptionKey("a", SECRET)))

    with pytest.raises(NotDecrypted) as raised:
        asyncio.run(PatientCodec(_one(key)).decode([sealed]))

    assert str(raised.value).startswith(f"the data cannot be read here: {why}")
    assert (raised.value.code, raised.value.exit_code, raised.value.non_retryable) == ("SD918", 3, False)


@pytest.mark.parametrize("broken", [b"", b"short", b"x" * 40])
def test_data_that_was_changed_is_the_same_error_and_no_crash(broken: bytes) -> None:
    sealed = _encoded(_one(EncryptionKey("a", SECRET)))
    sealed.data = broken

    with pytest.raises(NotDecrypted, match="the data was changed"):
        _decoded(_one(EncryptionKey("a", SECRET)), sealed)


def test_what_an_error_says_is_encrypted_with_its_stack() -> None:
    async def scenario() -> tuple[Failure, BaseException]:
        converter = encrypting([EncryptionKey("a", SECRET)])
        made = Failure()
        try:
            raise ApplicationError("card hush-4111 was refused", {"card": "hush-4111"}, type="Refused")
        except ApplicationError as error:
            await converter.encode_failure(error, made)
        sent = Failure.FromString(made.SerializeToString())
        return sent, await converter.decode_failure(made)

    sent, read = asyncio.run(scenario())
    assert b"hush-4111" not in sent.SerializeToString()
    assert (sent.message, sent.stack_trace) == ("Encoded failure", "")
    assert sent.application_failure_info.type == "Refused"
    assert isinstance(read, ApplicationError)
    assert (read.message, read.details) == ("card hush-4111 was refused", ({"card": "hush-4111"},))


def test_what_encryption_adds_to_a_payload_is_a_small_grade() -> None:
    """The limits of the server hold for what is sent: decision 14."""
    codec = patient(encrypting([EncryptionKey("k" * 100, SECRET)])).payload_codec
    assert isinstance(codec, PatientCodec)
    assert asyncio.run(codec.measure()) == Stretch(100, 512)


@pytest.mark.parametrize(
    "raw",
    [
        SECRET,
        SECRET + b"\n",
        SECRET.hex().encode() + b"\r\n",
        base64.b64encode(SECRET) + b"\n",
        base64.urlsafe_b64encode(SECRET).rstrip(b"="),
        b"\n" * 31 + b"!",
    ],
)
def test_a_key_is_bytes_base64_or_hexadecimal(raw: bytes) -> None:
    assert key_of("a", raw, "here").secret == (raw if len(raw) == 32 else SECRET)


@pytest.mark.parametrize("raw", [b"", b"short-secret", b"z" * 64, base64.b64encode(b"k" * 31), b"k" * 33])
def test_what_is_no_key_is_refused_and_not_shown(raw: bytes) -> None:
    with pytest.raises(KeyUnusable) as raised:
        key_of("a", raw, "env `K`, --encryption-key")

    said = str(raised.value) + raised.value.help
    assert "encryption key `a` (env `K`, --encryption-key) cannot be used: it" in said
    assert not raw or raw.decode() not in said


def test_a_key_is_not_shown_by_accident() -> None:
    assert repr(EncryptionKey("a", SECRET)) == "EncryptionKey(id='a')"


def test_keys_come_from_variables_files_and_commands(tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(OTHER)
    sources = [
        source_of("a=env:KEY_A", "--encryption-key"),
        source_of(f"b=file:{tmp_path / 'key'}", "--encryption-key"),
        source_in({"id": "c", "command": [sys.executable, "-c", f"print({SECRET.hex()!r})"]}, "sagadsl.toml"),
    ]
    keys = read_keys(sources, {"KEY_A": SECRET.hex()})
    assert [(key.id, key.secret) for key in keys] == [("a", SECRET), ("b", OTHER), ("c", SECRET)]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("a=env:NONE", "the variable `NONE` is not set"),
        ("a=file:/nowhere/key", "`/nowhere/key` cannot be read: no such file or directory"),
        ("a=command:/nowhere/tool get", "`/nowhere/tool` cannot be run"),
        (f"a=command:{sys.executable} -c 'raise SystemExit(\"hush\")'", "ended with code 1; run it by hand to see why"),
        ("a=provider:nobody", "no installed and permitted package offers a provider `nobody`"),
        ("a=provider:nowhere:key", "provider `nowhere:key`: ModuleNotFoundError"),
    ],
)
def test_a_key_that_cannot_be_had_says_why(text: str, why: str) -> None:
    with pytest.raises(KeyUnusable) as raised:
        read_keys([source_of(text, "--encryption-key")], {})
    assert str(raised.value).startswith("encryption key `a` (--encryption-key) cannot be used: ")
    assert why in str(raised.value)
    assert "hush" not in str(raised.value)  # what a command says on its way out may be a secret


@pytest.mark.parametrize(
    "text", ["a", "a=secret", "a=nothing:x", "=env:K", "a b=env:K", "a=env:", f"{'a' * 101}=env:K", "a=command:'"]
)
def test_what_names_no_key_is_refused(text: str) -> None:
    with pytest.raises(SettingsUnusable):
        source_of(text, "--encryption-key")


FAKE_KMS = '''
"""A key management service that has wrapped keys, and a vault."""
import base64

def unwrap(id, options):
    if options["region"] != "north":
        raise PermissionError("this key may not be used from here")
    return bytes(byte ^ 0x5A for byte in base64.b64decode(options["wrapped"]))

def vault(id, options):
    return {"2026-11": "6b" * 32}[id]
'''


def _package(folder: Path) -> None:
    (folder / "fake_kms.py").write_text(FAKE_KMS)
    info = folder / "fake_kms-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: fake-kms\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[sagadsl.keys]\nfake-kms = fake_kms:unwrap\nfake-vault = fake_kms:vault\n")


def test_a_package_offers_keys_of_a_key_management_service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It gets the id and whatever else the table has, a wrapped key for instance."""
    _package(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.chdir(tmp_path)
    wrapped = base64.b64encode(bytes(byte ^ 0x5A for byte in SECRET)).decode()
    kms = {"id": "a", "provider": "fake-kms", "region": "north", "wrapped": wrapped}

    keys = read_keys(
        [source_in(kms, "sagadsl.toml"), source_in({"id": "2026-11", "provider": "fake-vault"}, "sagadsl.toml")], {}
    )
    assert [key.secret for key in keys] == [SECRET, b"k" * 32]

    with pytest.raises(KeyUnusable, match=r"provider `fake-kms`: PermissionError: this key may not be used from here"):
        read_keys([source_in({**kms, "region": "south"}, "sagadsl.toml")], {})
    with pytest.raises(KeyUnusable, match=r"provider `fake-vault`: KeyError: 'b'"):
        read_keys([source_in({"id": "b", "provider": "fake-vault"}, "sagadsl.toml")], {})
    (tmp_path / "sagadsl.toml").write_text('plugins = {deny = ["fake-kms"]}\n')
    with pytest.raises(KeyUnusable, match=r"no installed and permitted package offers a provider `fake-kms`"):
        read_keys([source_in(kms, "sagadsl.toml")], {})


def test_broken_metadata_of_one_package_keeps_no_provider_of_another_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _package(tmp_path)
    broken = tmp_path / "aaa_broken-1.0.dist-info"
    broken.mkdir()
    (broken / "entry_points.txt").write_bytes(b"[sagadsl.keys]\nbroken = \xff\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.chdir(tmp_path)
    (key,) = read_keys([source_in({"id": "2026-11", "provider": "fake-vault"}, "sagadsl.toml")], {})
    assert key.secret == b"k" * 32


def _resolved(flags: Mapping[str, Any], environ: Mapping[str, str]) -> Any:
    return resolve(Flags(**NO_FILE, **flags), environ).codec


def test_the_nearest_setting_chooses_the_codec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A flag, a variable of sagadsl, the project, the endpoint of the `temporal` command."""
    monkeypatch.chdir(tmp_path)
    environ = {"TEMPORAL_CODEC_ENDPOINT": "https://codec.example/", "TEMPORAL_CODEC_AUTH": "Bearer s3cret"}
    found = _resolved({}, environ)
    assert (found.kind, found.value, found.origin, found.auth) == (
        *("endpoint", "https://codec.example", "TEMPORAL_CODEC_ENDPOINT"),
        "Bearer s3cret",
    )
    assert "s3cret" not in repr(found)

    (tmp_path / "sagadsl.toml").write_text('[encryption]\nkeys = [{id = "b", env = "B"}, {id = "a", file = "a"}]\n')
    found = _resolved({}, environ)
    assert (found.kind, found.value) == ("keys", "AES-256-GCM with keys b, a")
    assert found.origin == "[encryption] of sagadsl.toml"

    environ["SAGADSL_ENCRYPTION_KEYS"] = "c=env:C d=file:/d"
    found = _resolved({}, environ)
    assert (found.value, found.origin) == ("AES-256-GCM with keys c, d", "SAGADSL_ENCRYPTION_KEYS")

    found = _resolved({"encryption_key": ("e=command:vault read e",)}, environ)
    assert (found.value, found.flags) == ("AES-256-GCM with key e", "--encryption-key 'e=command:vault read e'")


@pytest.mark.parametrize(
    ("flags", "environ", "project", "why"),
    [
        (
            {"codec": "a:b", "encryption_key": ("a=env:A",)},
            {},
            "",
            "there are two codecs: --codec and --encryption-key",
        ),
        ({}, {"SAGADSL_CODEC": "a:b", "SAGADSL_ENCRYPTION_KEYS": "a=env:A"}, "", "there are two codecs"),
        ({"encryption_key": ("a=env:A", "a=env:B")}, {}, "", "encryption key `a` is there twice (--encryption-key)"),
        ({"codec_endpoint": "codec.example"}, {}, "", "`codec.example` is no address of a codec endpoint"),
        ({"codec_endpoint": "https://me:pw@codec.example"}, {}, "", "`the address` is no address of a codec"),
        ({}, {}, 'keys = "a"', "`keys` of [encryption] of sagadsl.toml cannot be used"),
        ({}, {}, "keys = []", "`keys` of [encryption] of sagadsl.toml cannot be used"),
        ({}, {}, 'key = "a"', "[encryption] of sagadsl.toml has `key`"),
        ({}, {}, "", "[encryption] of sagadsl.toml has 0 keys"),
        ({}, {}, 'keys = [{id = "a"}]', "encryption key `a` has no place"),
        ({}, {}, 'keys = [{id = "a", env = "A", file = "f"}]', "encryption key `a` has `env` and `file`"),
        ({}, {}, 'keys = [{id = "a", env = "A", region = "x"}]', "encryption key `a` has `region`, which only a"),
        ({}, {}, 'keys = [{env = "A"}]', "an encryption key has no `id`"),
        ({}, {}, 'keys = [{id = "a", file = 3}]', "`file` of encryption key `a` is no text"),
    ],
)
def test_a_setting_that_cannot_be_right_is_told(  # noqa: PLR0917
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    flags: Mapping[str, Any],
    environ: Mapping[str, str],
    project: str,
    why: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    if not flags and not environ:
        (tmp_path / "sagadsl.toml").write_text(f"[encryption]\n{project}\n")
    with pytest.raises(SettingsUnusable) as raised:
        _resolved(flags, environ)
    assert str(raised.value).startswith(why)


class _CodecServer(BaseHTTPRequestHandler):
    """A codec server as Temporal's samples have it, with one key; it wants a token."""

    asked: list[tuple[str, str | None]] = []  # noqa: RUF012 # one for each test, set in `_codec_server`

    def do_POST(self) -> None:
        raw = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.asked.append((self.path, self.headers["X-Namespace"]))
        if self.headers["Authorization"] != "Bearer t":
            self.send_response(302)
            self.send_header("Location", "/elsewhere")
            self.end_headers()
            return
        answer = {"payloads": raw["payloads"]}
        for each in answer["payloads"]:
            data = base64.b64decode(each["data"])
            each["data"] = base64.b64encode(data[::-1]).decode()
        body = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None: ...


@contextmanager
def _codec_server() -> Iterator[str]:
    _CodecServer.asked = []
    with ThreadingHTTPServer(("127.0.0.1", 0), _CodecServer) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/{{namespace}}/codec"
        server.shutdown()
        thread.join()


def test_an_endpoint_encodes_and_decodes() -> None:
    """The protocol of Temporal's codec servers: base64 in JSON, the namespace as a header and in the address."""
    with _codec_server() as address:
        codec = RemoteCodec(address, "shop", "Bearer t")
        (encoded,) = asyncio.run(codec.encode([PLAIN]))
        assert encoded.data == PLAIN.data[::-1]
        assert asyncio.run(codec.decode([encoded])) == [PLAIN]
    assert _CodecServer.asked == [("/shop/codec/encode", "shop"), ("/shop/codec/decode", "shop")]


def test_an_endpoint_that_refuses_or_is_away_is_told_and_leads_nowhere_else() -> None:
    with _codec_server() as address:
        codec = PatientCodec(RemoteCodec(address, "shop"), attempts=1)
        with pytest.raises(CodecFailed, match=r"http://127.0.0.1:\d+/shop/codec/encode answers 302"):
            asyncio.run(codec.encode([PLAIN]))
    assert [path for path, _ in _CodecServer.asked] == ["/shop/codec/encode"]
    with pytest.raises(CodecFailed, match=r"/codec/encode does not answer: .*refused"):
        asyncio.run(codec.encode([PLAIN]))
