"""The audit log has a line for each request to change a saga, however the request ends."""

from __future__ import annotations

import json
import logging
from types import SimpleNamespace
from typing import Any, cast

import pytest
from temporalio.service import RPCError, RPCStatusCode

from sagadsl.gateway.access import ANYBODY
from sagadsl.gateway.requests import Inquiry
from sagadsl.temporal.refusals import SagaOver


@pytest.mark.parametrize(
    ("error", "result"),
    [
        (None, "done"),
        (SagaOver("order-7"), "SD924"),
        (RPCError("no answer", RPCStatusCode.UNAVAILABLE, b""), "unknown"),
    ],
)
def test_a_request_of_which_nobody_knows_the_end_is_in_the_audit_log(
    error: Exception | None, result: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The server may have carried out what it has not answered."""
    inquiry = Inquiry(cast("Any", None), cast("Any", SimpleNamespace(client=None)), ANYBODY, "r1")

    def asked() -> None:
        with inquiry.audited("forget", "order-7", why="request 17") as said:
            if error is not None:
                raise error
            said.result = "done"

    with caplog.at_level(logging.INFO, "sagadsl.audit"):
        if error is None:
            asked()
        else:
            with pytest.raises(type(error)):
                asked()
    (line,) = caplog.messages
    told = json.loads(line)
    assert (told["action"], told["saga"], told["result"], told["why"]) == ("forget", "order-7", result, "request 17")
