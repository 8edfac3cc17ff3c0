"""Worker B, and a client, in Java: ``examples/java-worker``."""

from __future__ import annotations

import pytest

from tests.foreign.transfers import Transfers

pytestmark = [pytest.mark.temporal, pytest.mark.timeout(1200)]  # the first build takes minutes


class TestJava(Transfers):
    language = "java"
    unregistered = "java.lang.IllegalArgumentException"
