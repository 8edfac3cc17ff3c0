"""What was shown on the dev server holds on PostgreSQL: lists, and what is not taken from a client.

The tests are the same ones: ``server`` is another one here, see ``conftest``.
"""

from __future__ import annotations

import pytest

from tests.temporal.play import SDK_RACE
from tests.temporal.test_forged_starts import *  # noqa: F403
from tests.temporal.test_listing import *  # noqa: F403

pytestmark = [pytest.mark.timeout(1800), pytest.mark.filterwarnings(SDK_RACE)]  # the first build takes minutes
