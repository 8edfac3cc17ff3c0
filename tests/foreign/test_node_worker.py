"""Worker B, and a client, in JavaScript, on Node: ``examples/node-worker``."""

from __future__ import annotations

import pytest

from tests.foreign.transfers import Transfers

pytestmark = [pytest.mark.temporal, pytest.mark.timeout(1200)]  # the first build takes minutes


class TestNode(Transfers):
    language = "node"
    unregistered = "NotFoundError"
