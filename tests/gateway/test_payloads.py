"""The gateway as a codec server: for the `temporal` command, for Temporal's Web UI, and for another sagadsl."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from sagadsl.gateway.payloads import MOST_BYTES
from tests.cli.shell import environment, inside
from tests.conftest import Server
from tests.gateway.house import House, fresh, serve, shop, worker

pytestmark = pytest.mark.temporal

WEB_UI = "https://temporal.example"
HIDDEN = """\
sagadsl: 1
name: hidden
version: "1.0.0"
input: {type: object, required: [card], properties: {card: {type: string, x-secret: true}}}
steps: [{id: text, set: {text: "paid by {{ input.card }}"}}]
output: "{{ steps.text.output.text }}"
"""
QUEUE = ("--task-queue", f"payloads-{uuid.uuid4()}")


def _payload(text: str) -> dict[str, Any]:
    encoded = {name: base64.b64encode(value.encode()).decode() for name, value in (("e", "json/plain"), ("d", text))}
    return {"metadata": {"encoding": encoded["e"]}, "data": encoded["d"]}


@dataclass(frozen=True, slots=True)
class Desk:
    """A gateway with keys, and its tokens."""

    house: House
    decoder: str
    both: str
    reader: str

    def code(self, doing: str, body: Any, token: str, **headers: str) -> Any:
        return self.house.ask("POST", f"/codec/{doing}", body, token=token, **headers)


@pytest.fixture(scope="module")
def desk(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    folder = shop(tmp_path_factory.mktemp("payloads"))
    (folder / "key").write_bytes(b"k" * 32)
    settings = (folder / "sagadsl.toml").read_text()
    (folder / "sagadsl.toml").write_text(f'{settings}[encryption]\nkeys = [{{id = "one", file = "key"}}]\n')
    (folder / "hidden.saga.yaml").write_text(HIDDEN)
    tokens = ["tokens:\n"]
    made = []
    for name, rights in {
        "decoder": ("--payloads", "decode"),
        "both": ("--payloads", "decode", "--payloads", "encode", "--start", "*", "--read", "*"),
        "reader": ("--start", "*", "--read", "*", "--operate", "*"),
    }.items():
        ran = inside("token", name, *rights)
        assert ran.code == 0, ran.err
        tokens.append(ran.out)
        made.append(ran.err.strip().rpartition(" ")[2])
    (folder / "tokens.yaml").write_text("".join(tokens))
    options = ("--tokens", "tokens.yaml", "--cors-origin", WEB_UI, *QUEUE)
    with worker(folder, server.address, *QUEUE), serve(folder, server.address, *options) as house:
        yield Desk(house, *made)


def test_what_it_encodes_it_decodes(desk: Desk) -> None:
    given = {"payloads": [_payload('"a"'), _payload('{"b": 1}')]}
    sealed = desk.code("encode", given, desk.both)
    assert sealed.status_code == 200, sealed.text
    first = sealed.json()["payloads"][0]
    assert {name: base64.b64decode(value) for name, value in first["metadata"].items()} == {
        "encoding": b"binary/encrypted",
        "encryption-key-id": b"one",
    }
    assert desk.code("decode", sealed.json(), desk.decoder, X_Namespace="default").json() == given
    assert desk.code("decode", given, desk.decoder).json() == given  # what is in clear comes back as it is
    assert desk.code("decode", {"payloads": []}, desk.decoder).json() == {"payloads": []}


def test_decoding_is_a_right_of_its_own(desk: Desk) -> None:
    """Whoever may read, start and operate every saga may not; whoever may decode may not encode."""
    given = {"payloads": [_payload('"a"')]}
    for doing, token in (("decode", desk.reader), ("encode", desk.reader), ("encode", desk.decoder)):
        refused = desk.code(doing, given, token)
        assert (refused.status_code, refused.json()["code"]) == (403, "SD943")
        assert refused.json()["detail"].endswith(f"may not {doing} payloads")
    assert desk.code("decode", given, "").status_code == 401
    assert desk.house.ask("GET", "/sagas", token=desk.decoder).json()["sagas"] == []


def test_each_request_is_in_the_audit_log(desk: Desk) -> None:
    desk.code("decode", {"payloads": [_payload('"a"')] * 3}, desk.decoder)
    lines = [json.loads(line.partition("sagadsl.audit: ")[2]) for line in desk.house.lines if "sagadsl.audit" in line]
    found = [line for line in lines if (line["action"], line.get("payloads")) == ("decode", "3")]
    assert [line["who"] for line in found] == ["decoder"]


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"payloads": [{"data": "not base64 !"}]}, 400, "SD948"),
        ({"payloads": 3}, 400, "SD948"),
        ({"nothing": []}, 400, "SD948"),
        ([], 400, "SD948"),
        ({"payloads": [{"data": "A" * MOST_BYTES}]}, 413, "SD946"),
    ],
)
def test_what_is_no_list_of_payloads_is_refused(desk: Desk, body: Any, status: int, code: str) -> None:
    refused = desk.code("decode", body, desk.decoder)
    assert (refused.status_code, refused.json()["code"]) == (status, code)


def test_another_key_and_another_namespace_are_told(desk: Desk) -> None:
    sealed = desk.code("encode", {"payloads": [_payload('"a"')]}, desk.both).json()
    sealed["payloads"][0]["metadata"]["encryption-key-id"] = base64.b64encode(b"gone").decode()
    lost = desk.code("decode", sealed, desk.decoder)
    assert (lost.status_code, lost.json()["code"]) == (503, "SD918")
    assert "it is encrypted with key `gone`" in lost.json()["detail"]
    other = desk.code("decode", sealed, desk.decoder, X_Namespace="other")
    assert (other.status_code, other.json()["code"]) == (400, "SD947")


def test_a_page_of_the_web_ui_may_ask_and_no_other(desk: Desk) -> None:
    def preflight(origin: str) -> Mapping[str, str]:
        asked = {"Access-Control-Request-Method": "POST", "Origin": origin}
        asked["Access-Control-Request-Headers"] = "authorization,content-type,x-namespace"
        answer = desk.house.ask("OPTIONS", "/codec/decode", **asked)
        return dict(answer.headers) | {"status": str(answer.status_code)}

    welcome, stranger = preflight(WEB_UI), preflight("https://evil.example")
    assert (welcome["status"], welcome["access-control-allow-origin"]) == ("200", WEB_UI)
    assert "x-namespace" in welcome["access-control-allow-headers"].lower()
    assert "access-control-allow-origin" not in stranger
    given = {"payloads": [_payload('"a"')]}
    assert desk.code("decode", given, desk.decoder, Origin=WEB_UI).headers["access-control-allow-origin"] == WEB_UI
    assert desk.code("decode", given, desk.decoder, Origin="https://evil.example").status_code == 403


def test_the_temporal_command_reads_an_encrypted_saga_by_it(desk: Desk, server: Server) -> None:
    id_ = fresh()
    started = desk.house.ask("POST", "/sagas/order", {"order": "4711"}, token=desk.both, Workflow_Id=id_)
    assert started.status_code == 202, started.text
    desk.house.ask("GET", f"/sagas/{id_}/result?wait=30s", token=desk.both)
    command = [str(Path(sys.executable).with_name("temporal")), "workflow", "result", "--workflow-id", id_]
    command += ["--address", server.address, "--output", "json"]

    def read(*more: str) -> str:
        env = environment() | {"XDG_CONFIG_HOME": str(desk.house.folder)}
        return subprocess.run([*command, *more], capture_output=True, text=True, env=env, check=False).stdout

    assert "t_4711" not in read()
    shown = read("--codec-endpoint", f"{desk.house.url}/codec", "--codec-auth", f"Bearer {desk.decoder}")
    assert "t_4711" in shown


def test_another_sagadsl_may_use_it_in_place_of_keys(desk: Desk, server: Server, tmp_path: Path) -> None:
    """`TEMPORAL_CODEC_ENDPOINT` and `TEMPORAL_CODEC_AUTH`: it starts and reads sagas, and has no key."""
    folder = shop(tmp_path)
    env = {"TEMPORAL_CODEC_ENDPOINT": f"{desk.house.url}/codec", "TEMPORAL_CODEC_AUTH": f"Bearer {desk.both}"}
    there, id_ = ("--address", server.address), fresh()
    ran = inside("run", "order.saga.yaml", "--id", id_, *QUEUE, "--set", "order=4711", *there, cwd=folder, env=env)
    assert ran.code == 0, ran.err
    assert json.loads(inside("result", id_, "--json", *there, cwd=folder, env=env).out)["output"] == {
        "tracking": "t_4711"
    }
    refused = inside("result", id_, *there, cwd=folder, env=env | {"TEMPORAL_CODEC_AUTH": f"Bearer {desk.reader}"})
    assert (refused.code, refused.out) == (3, "")
    assert "error[SD914]: the payload codec cannot encode" in refused.err
    assert "answers 403" in refused.err


def test_secret_values_are_shown_to_who_may_decode(desk: Desk) -> None:
    """The right to read a saga is not enough, and nobody gets them unasked."""
    begun = desk.house.ask("POST", "/sagas/hidden", {"card": "hush-card-4242"}, token=desk.both, Workflow_Id=fresh())
    assert begun.status_code == 202, begun.text
    id_ = begun.json()["id"]
    ended = desk.house.ask("GET", f"/sagas/{id_}/result?wait=30s", token=desk.reader)
    assert ended.json()["output"] == "paid by ***"
    seen = [desk.house.ask("GET", f"/sagas/{id_}{path}", token=desk.both).text for path in ("", "/trace", "/result")]
    assert not [each for each in seen if "hush" in each]
    for path in ("trace", "result"):
        refused = desk.house.ask("GET", f"/sagas/{id_}/{path}?secrets=shown", token=desk.reader)
        assert (refused.status_code, refused.json()["code"]) == (403, "SD943")
        assert "hush-card-4242" in desk.house.ask("GET", f"/sagas/{id_}/{path}?secrets=shown", token=desk.both).text
    assert desk.house.ask("GET", f"/sagas/{id_}/trace?secrets=yes", token=desk.both).status_code == 400
    assert any('"action": "show secrets"' in line and id_ in line for line in desk.house.lines)
