"""`keygen`, `sign`, `verify`, and workers and gateways that take signed definitions alone."""

from __future__ import annotations

import json
import stat
import uuid
from pathlib import Path

import pytest

from tests.cli.shell import Ran, inside
from tests.cli.shop import lay_out
from tests.cli.workers import running
from tests.conftest import Server

LIBRARY = """\
sagadsl_library: 1
fragments:
  greet: {steps: [{id: say, set: {text: "hello"}}]}
"""
USER = """\
sagadsl: 1
imports: {words: ./words.lib.yaml}
sagas:
  user:
    version: "1"
    steps: [{id: greet, use: words.greet}]
  second:
    version: "1"
    steps: [{id: a, set: {text: "x"}}]
    schedule: {every: 24h}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    lay_out(tmp_path)
    assert inside("keygen", "a.pem", cwd=tmp_path).code == 0
    assert inside("keygen", "b.pem", cwd=tmp_path).code == 0
    return tmp_path


def _verdicts(folder: Path, *arguments: str) -> dict[str, bool]:
    ran = inside("verify", *arguments, "--json", cwd=folder)
    found = {each["saga"]: each["trusted"] for each in json.loads(ran.out)["definitions"]}
    assert ran.code == (0 if all(found.values()) else 1)
    return found


def test_a_private_key_is_for_its_owner_and_nothing_overwrites_it(folder: Path) -> None:
    assert stat.S_IMODE((folder / "a.pem").stat().st_mode) == 0o600
    before = (folder / "a.pem").read_text()
    again = inside("keygen", "a.pem", cwd=folder)
    assert (again.code, "SD990" in again.err, "the file is there already" in again.err) == (3, True, True)
    assert (folder / "a.pem").read_text() == before


def test_a_signature_covers_what_is_imported_and_each_saga_of_a_file(folder: Path) -> None:
    (folder / "words.lib.yaml").write_text(LIBRARY)
    (folder / "user.saga.yaml").write_text(USER)
    signed = inside("sign", "user.saga.yaml", "--key", "a.pem", cwd=folder)
    assert signed.code == 0, signed.err
    trusted = ("user.saga.yaml", "--trusted-key", "a.pem.pub")
    assert _verdicts(folder, *trusted) == {"user": True, "second": True}

    (folder / "user.saga.yaml").write_text(USER.replace("24h", "12h"))  # when it starts is no part of it
    assert _verdicts(folder, *trusted) == {"user": True, "second": True}
    (folder / "words.lib.yaml").write_text(LIBRARY.replace("hello", "bye"))
    assert _verdicts(folder, *trusted) == {"user": False, "second": True}


WAITING = """\
sagadsl: 1
name: waiting
version: "1"
steps:
  - id: decision
    wait_for: {any: {reject: {}, approve: {}}}
"""


def test_a_signature_covers_the_order_in_which_signals_are_waited_for(folder: Path) -> None:
    """Of several that have come, the first one counts; the digest of a definition knows no order."""
    file = folder / "waiting.saga.yaml"
    file.write_text(WAITING)
    assert inside("sign", file.name, "--key", "a.pem", cwd=folder).code == 0
    assert _verdicts(folder, file.name, "--trusted-key", "a.pem.pub") == {"waiting": True}

    file.write_text(WAITING.replace("any: {reject: {}, approve: {}}", "any: {approve: {}, reject: {}}"))
    assert _verdicts(folder, file.name, "--trusted-key", "a.pem.pub") == {"waiting": False}


def test_several_may_sign_and_what_the_file_held_before_is_dropped(folder: Path) -> None:
    for key in ("a.pem", "b.pem", "a.pem"):
        assert inside("sign", "order.saga.yaml", "--key", key, cwd=folder).code == 0
    entries = json.loads((folder / "order.saga.yaml.sig").read_text())["signatures"]
    assert len({each["key"] for each in entries}) == len(entries) == 2
    for key in ("a.pem.pub", "b.pem.pub"):
        assert _verdicts(folder, "order.saga.yaml", "--trusted-key", key) == {"order": True}

    text = (folder / "order.saga.yaml").read_text()
    (folder / "order.saga.yaml").write_text(text.replace('version: "1.0.0"', 'version: "1.0.1"'))
    assert _verdicts(folder, "order.saga.yaml", "--trusted-key", "a.pem.pub") == {"order": False}
    assert inside("sign", "order.saga.yaml", "--key", "b.pem", cwd=folder).code == 0
    assert len(json.loads((folder / "order.saga.yaml.sig").read_text())["signatures"]) == 1
    assert _verdicts(folder, "order.saga.yaml", "--trusted-key", "a.pem.pub") == {"order": False}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("sign", "order.saga.yaml", "--key", "a.pem.pub"), "it is the public part"),
        (("sign", "order.saga.yaml", "--key", "order.saga.yaml"), "holds no private key"),
        (("keygen", "nowhere/c.pem"), "there is no folder `nowhere`"),
        (("sign", "order.saga.yaml", "--key", "nothing.pem"), "no such file"),
        (("verify", "order.saga.yaml", "--trusted-key", "a.pem"), "it is the private part"),
        (("verify", "order.saga.yaml", "--trusted-key", "order.saga.yaml"), "holds no public key"),
        (("verify", "order.saga.yaml", "--allow-digest", "abc"), "`abc` is no digest"),
        (("sign", "-", "--key", "a.pem"), "name a file"),
    ],
)
def test_a_wrong_key_is_named_and_never_shown(folder: Path, arguments: tuple[str, ...], says: str) -> None:
    ran = inside(*arguments, cwd=folder)
    assert ran.code in (2, 3)
    assert says in ran.err
    assert "BEGIN" not in ran.err


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ("[trust]", "trusts nothing"),
        ('[trust]\nkey = ["a.pem.pub"]', "`key` in `trust`"),
        ('trust = "all"', "`trust` cannot be used"),
        ('[trust]\nkeys = "a.pem.pub"', "is a list of texts"),
        ('[trust]\ndigests = ["abc"]', "`abc` is no digest"),
    ],
)
def test_a_table_that_cannot_be_right_stops_the_command(folder: Path, table: str, says: str) -> None:
    (folder / "sagadsl.toml").write_text(table + "\n")
    ran = inside("worker", "order.saga.yaml", "--address", "127.0.0.1:1", cwd=folder)
    assert (ran.code, "SD913" in ran.err) == (2, True)
    assert says in ran.err


def test_whoever_trusts_nothing_sees_who_has_signed_and_the_digest(folder: Path) -> None:
    digest = json.loads(inside("sign", "order.saga.yaml", "--key", "a.pem", "--json", cwd=folder).out)["signed"][0][
        "digest"
    ]
    ran = inside("verify", "order.saga.yaml", cwd=folder)
    assert (ran.code, "say what is trusted: `--trusted-key FILE`" in ran.err) == (1, True)
    assert f"with the digest {digest} is signed by key " in ran.out
    (folder / "order.saga.yaml.sig").unlink()
    assert f"with the digest {digest} is not signed" in inside("verify", ".", cwd=folder).out


def test_signatures_that_cannot_be_read_are_named(folder: Path) -> None:
    for text in ("signed by me", '{"sagadsl_signatures": 2}', '{"sagadsl_signatures": 1, "signatures": [{}]}'):
        (folder / "order.saga.yaml.sig").write_text(text)
        ran = inside("verify", "order.saga.yaml", "--trusted-key", "a.pem.pub", cwd=folder)
        assert (ran.code, "SD992" in ran.err, "order.saga.yaml.sig" in ran.err) == (2, True, True)


def test_a_file_of_signatures_is_not_taken_for_a_definition(folder: Path) -> None:
    """SD012."""
    assert inside("sign", "order.saga.yaml", "--key", "a.pem", cwd=folder).code == 0
    ran = inside("verify", "order.saga.yaml.sig", "--trusted-key", "a.pem.pub", cwd=folder)
    assert (ran.code, "error[SD012]: these are signatures, not a definition" in ran.err + ran.out) == (1, True), ran
    assert "name the file that they are of, without `.sig`" in ran.err + ran.out


@pytest.mark.parametrize(
    ("made_so", "says", "advice"),
    [
        (
            (),
            "is not signed: there is no signature in `order.saga.yaml.sig`",
            "`sagadsl sign FILE --key KEYFILE` signs",
        ),
        (("b.pem",), "which is not trusted; trusted is", "or trust that key"),
        (
            ("a.pem", "changed"),
            "is not what was signed: `order.saga.yaml.sig` signs the digest",
            "it was changed since",
        ),
        (("a.pem", "another saga"), "`order.saga.yaml.sig` signs other sagas only", "`sagadsl sign FILE"),
    ],
)
def test_a_definition_that_is_not_trusted_is_told_apart(
    folder: Path, made_so: tuple[str, ...], says: str, advice: str
) -> None:
    """Not signed, signed by somebody else, or changed since."""
    if made_so:
        assert inside("sign", "order.saga.yaml", "--key", made_so[0], cwd=folder).code == 0
    file, sig = folder / "order.saga.yaml", folder / "order.saga.yaml.sig"
    if "changed" in made_so:
        file.write_text(file.read_text() + "description: changed\n")
    if "another saga" in made_so:
        signed = json.loads(sig.read_text())
        for each in signed["signatures"]:
            each["saga"], each["digest"] = "other", "0" * 64
        sig.write_text(json.dumps(signed))
    arguments = ("order.saga.yaml", "--trusted-key", "a.pem.pub")
    refused = inside("worker", *arguments, "--address", "127.0.0.1:1", cwd=folder)
    assert (refused.code, "SD991" in refused.err) == (3, True)
    assert says in refused.err
    assert advice in refused.err
    assert says in inside("verify", *arguments, cwd=folder).out


def test_the_worker_of_run_takes_what_the_project_trusts(folder: Path) -> None:
    """Nothing is started, neither here nor on a server; without a worker of its own, that one judges."""
    with (folder / "sagadsl.toml").open("a") as settings:
        settings.write('[trust]\nkeys = ["a.pem.pub"]\n')
    start = ("run", "order.saga.yaml", "-i", '{"order": "1"}')
    for elsewhere in ((), ("--worker", "--address", "127.0.0.1:1")):
        refused = inside(*start, *elsewhere, cwd=folder)
        assert (refused.code, "SD991" in refused.err) == (3, True)
    assert "SD901" in inside(*start, "--address", "127.0.0.1:1", cwd=folder).err
    assert inside("sign", "order.saga.yaml", "--key", "a.pem", cwd=folder).code == 0
    assert "SD901" in inside(*start, "--worker", "--address", "127.0.0.1:1", cwd=folder).err


@pytest.mark.parametrize("command", ["worker", "serve"])
def test_what_is_not_signed_is_not_served(folder: Path, command: str) -> None:
    """There is no server: the command would say so if it came to that."""
    options = ("order.saga.yaml", "--trusted-key", "a.pem.pub", "--address", "127.0.0.1:1")
    refused = inside(command, *options, cwd=folder)
    assert (refused.code, "SD991" in refused.err) == (3, True)
    assert inside("sign", "order.saga.yaml", "--key", "a.pem", cwd=folder).code == 0
    assert "SD901" in inside(command, *options, cwd=folder).err


@pytest.mark.temporal
def test_run_brings_the_signatures_of_its_file_to_a_worker_that_asks_for_them(folder: Path, server: Server) -> None:
    options = ("--task-queue", f"signed-{uuid.uuid4()}", "--address", server.address)
    with running(folder, "--trusted-key", "a.pem.pub", *options) as worker:
        worker.wait_for("ready")
        assert worker.lines[1] == "  sagas       those that come with their start and are trusted"
        unsigned = inside("run", "order.saga.yaml", "-i", '{"order": "1"}', *options, "--json", cwd=folder)
        assert (unsigned.code, json.loads(unsigned.out)["error"]["type"]) == (10, "UntrustedDefinition")
        assert inside("sign", "order.saga.yaml", "--key", "a.pem", cwd=folder).code == 0
        signed = inside("run", "order.saga.yaml", "-i", '{"order": "2"}', *options, "-q", cwd=folder)
    assert signed == Ran(0, '{\n  "tracking": "t_2"\n}\n', "")
