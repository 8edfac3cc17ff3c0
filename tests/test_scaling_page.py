"""docs/operations/scaling.md: its commands are taken by what they are for, and its values make a chart."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

from sagadsl.cli import worker_capacity
from sagadsl.temporal.link.flags import Flags
from sagadsl.temporal.link.settings import resolve
from tests.cli.shell import environment
from tests.cluster.charting import rendered
from tests.cluster.manifests import KUBERNETES, check_command
from tests.conftest import Server
from tests.patience import PATIENCE

PAGE = (Path(__file__).parents[1] / "docs" / "operations" / "scaling.md").read_text("utf-8")
CALLS = re.findall(
    r"^\$ ([^\n]*)\n((?:(?!\$ |```)[^\n]*\n)*)", "".join(re.findall(r"^```console\n(.*?)^```", PAGE, re.M | re.S)), re.M
)


def _calls(program: str) -> list[tuple[str, str]]:
    return [(command, shown) for command, shown in CALLS if command.startswith(f"{program} ")]


def _block(kind: str, beginning: str) -> str:
    return next(each for each in re.findall(rf"^```{kind}\n(.*?)^```", PAGE, re.M | re.S) if each.startswith(beginning))


@pytest.mark.parametrize("command", [command for command, _ in _calls("sagadsl")])
def test_a_command_of_ours_has_the_options_that_the_page_gives_it(command: str) -> None:
    check_command(shlex.split(command)[1:])


@pytest.mark.temporal
@pytest.mark.parametrize(("command", "shown"), _calls("temporal"))
def test_a_command_of_temporal_does_what_the_page_says(
    command: str, shown: str, server: Server, tmp_path: Path
) -> None:
    """Of what it prints, the page has the first lines."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    env = environment(TEMPORAL_ADDRESS=server.address, PATH=path, XDG_CONFIG_HOME=str(tmp_path))
    ran = subprocess.run(shlex.split(command), env=env, capture_output=True, text=True, check=False, timeout=PATIENCE)
    assert (ran.returncode, ran.stdout.startswith(shown)) == (0, True), ran


def test_the_settings_of_the_page_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = _block("toml", "[worker]")
    (tmp_path / "sagadsl.toml").write_text(text)
    monkeypatch.chdir(tmp_path)
    found = worker_capacity._capacity(dict.fromkeys(worker_capacity._READERS))
    assert (found.tuner, found.queue_rate) == (worker_capacity.Targets(0.8, 0.9), 20)
    assert len(tomllib.loads(text)["worker"]) == 3


def test_the_profile_for_temporal_cloud_goes_to_its_endpoint_with_tls(tmp_path: Path) -> None:
    (tmp_path / "temporal.toml").write_text(_block("toml", "[profile.cloud]"))
    settings = resolve(Flags(profile="cloud", config_file=str(tmp_path / "temporal.toml"), api_key="k"), {})
    assert (settings.address.value, settings.tls.value) == ("eu-central-1.aws.api.temporal.io:7233", "on")


def test_the_values_of_the_page_make_the_chart_that_it_describes(tmp_path: Path) -> None:
    manifests = rendered(yaml.safe_load(_block("yaml", "temporal:")), tmp_path, KUBERNETES)
    kinds = sorted(f"{each['kind']} {each['metadata']['name']}" for each in manifests)
    assert "Deployment sagas-worker-sagas" in kinds
    assert "ScaledObject sagas-worker-payments" in kinds
    assert "Deployment sagas-gateway" in kinds
