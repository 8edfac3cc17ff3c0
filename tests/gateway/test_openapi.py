"""The description of the gateway is valid, and true: what it says can be sent, and what comes back is as it says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from sagadsl.gateway.openapi import document
from sagadsl.temporal.wire.arguments import envelope, open_envelope, to_bytes
from tests.conftest import APART, Server
from tests.gateway.house import House, serve, shop, worker

pytestmark = pytest.mark.temporal


def test_the_description_is_valid_openapi(house: House) -> None:
    described = house.ask("GET", "/openapi.json").json()

    OpenAPIV31SpecValidator(described).validate()
    assert described["components"]["schemas"]["input.order"]["required"] == ["order"]


def test_references_within_an_input_schema_lead_to_where_it_stands() -> None:
    """An input schema may have ``$defs``; in the description it stands somewhere else."""
    definition = {
        "sagadsl": 1,
        "name": "order",
        "version": "1",
        "input": {
            "type": "object",
            "properties": {"lines": {"type": "array", "items": {"$ref": "#/$defs/line"}}},
            "$defs": {"line": {"type": "object", "properties": {"again": {"$ref": "#"}}}},
        },
        "steps": [{"id": "nap", "sleep": "1s"}],
    }
    described = document([open_envelope(to_bytes(envelope(definition, {})))])
    moved = described["components"]["schemas"]["input.order"]

    assert moved["properties"]["lines"]["items"]["$ref"] == "#/components/schemas/input.order/$defs/line"
    assert moved["$defs"]["line"]["properties"]["again"]["$ref"] == "#/components/schemas/input.order"
    OpenAPIV31SpecValidator(described).validate()


@pytest.mark.timeout(400)  # some seven hundred requests
def test_what_it_describes_is_what_it_does(server: Server, tmp_path: Path) -> None:
    """schemathesis sends what the description allows, and what it does not; no answer is one that is not described."""
    shop(tmp_path)
    apart = ("-n", APART)  # it takes ids from lists, and would ask for sagas whose workers are gone
    with (
        worker(tmp_path, server.address, *apart),
        serve(tmp_path, server.address, *apart, "--rate", "10000", "--longest-wait", "1") as house,
    ):
        ran = _sent(house, tmp_path)

    assert ran.returncode == 0, ran.stdout[-6000:]


CONFIG = """\
[[operations]]
include-name = "POST /jobs"
checks.positive_data_acceptance.expected-statuses = [200, 202, 400, 403, 404, 409]
phases.coverage.enabled = false
"""
"""No schema says which filters the server takes: it refuses others with 400.

The combinations of a job's many keys would be two thirds of all requests; ``test_jobs`` has those that matter.
"""


def _sent(house: House, folder: Path) -> subprocess.CompletedProcess[str]:
    (folder / "schemathesis.toml").write_text(CONFIG, encoding="utf-8")
    return subprocess.run(
        [
            *(str(Path(sys.executable).with_name("schemathesis")), "run", f"{house.url}/openapi.json"),
            *("--checks", "all", "--exclude-checks", "ignored_auth", "--max-examples", "8", "--seed", "1"),
            *("--phases", "examples,coverage,fuzzing", "--exclude-path", "/sagas/{id}/events"),
            *("--exclude-path", "/jobs/{id}/events", "--no-color"),
            *("--request-timeout", "70", "--generation-database", "none"),
        ],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=380,
        check=False,
    )
