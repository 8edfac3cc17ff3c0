"""docs/operations/credentials.md: its examples run as they stand, but for the port and the time."""

from __future__ import annotations

import re
import shlex
from datetime import timedelta
from pathlib import Path

import pytest

from tests.cli.shell import inside
from tests.secured.server import Secured

pytestmark = pytest.mark.temporal

PAGE = (Path(__file__).parents[2] / "docs" / "operations" / "credentials.md").read_text("utf-8")
CALLS = re.findall(
    r"^\$ sagadsl ([^\n]*)\n((?:(?!\$ |```)[^\n]*\n)*)",
    "".join(re.findall(r"^```console\n(.*?)^```", PAGE, re.M | re.S)),
    re.M,
)
SHOWN = "127.0.0.1:27233"
TIME = re.compile(r'"as_of": "[^"]*"')


def test_the_commands_of_the_page_do_what_it_shows(wants_certificates: Secured, tmp_path: Path) -> None:
    profile = next(each for each in re.findall(r"^```toml\n(.*?)^```", PAGE, re.M | re.S) if "[profile" in each)
    (tmp_path / "temporal.toml").write_text(profile.replace(SHOWN, wants_certificates.address))
    expired = wants_certificates.authority.pair("of-the-page", lasts=timedelta(hours=-1))
    files = {
        "authority.pem": wants_certificates.authority.file,
        "client.pem": wants_certificates.client.cert,
        "client.key": wants_certificates.client.key,
        "expired.pem": expired.cert,
        "expired.key": expired.key,
    }
    for name, file in files.items():
        (tmp_path / name).write_bytes(file.read_bytes())
    port = wants_certificates.address.rpartition(":")[2]
    assert len(CALLS) == 2
    for command, shown in CALLS:
        ran = inside(*shlex.split(command), cwd=tmp_path)
        said = (ran.out + ran.err).replace(wants_certificates.address, SHOWN).replace(f"port {port}", "port 27233")
        assert TIME.sub("", said) == TIME.sub("", shown)
