"""What was shown on the dev server holds on PostgreSQL: lists, and what is not taken from a client.

The tests are the same ones: ``server`` is another one here, see ``conftest``.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.shell import inside
from tests.conftest import Server
from tests.temporal.play import SDK_RACE
from tests.temporal.test_forged_starts import *  # noqa: F403
from tests.temporal.test_listing import *  # noqa: F403

pytestmark = [pytest.mark.timeout(1800), pytest.mark.filterwarnings(SDK_RACE)]  # the first build takes minutes


def test_the_doctor_says_which_store_it_is_and_what_follows(server: Server, tmp_path: Path) -> None:
    ran = inside("doctor", "--json", "--address", server.address, cwd=tmp_path)

    (store,) = (each for each in json.loads(ran.out)["checks"] if each["what"] == "store")
    assert (store["persistence_store"], store["visibility_store"]) == ("postgres12", "postgres12")
    assert "over 255 characters (id, type, queue, attribute) is refused, or in no list" in store["found"]
