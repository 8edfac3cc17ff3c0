"""examples/events: events of Kafka and SQS become sagas and signals, each once, whatever is delivered how often.

The gateway, its worker and Temporal's server are real. Kafka is its own client with the cluster that librdkafka
brings for tests; SQS is a small queue with the methods of boto3 that the example calls.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import re
import socket
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from tests.conftest import Server
from tests.gateway.house import House, serve, worker
from tests.patience import PATIENCE

pytestmark = pytest.mark.temporal

EXAMPLE = Path(__file__).parents[2] / "examples" / "events"
QUEUE = f"events-{uuid.uuid4()}"


@pytest.fixture(autouse=True)
def _on_the_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(EXAMPLE))


@pytest.fixture(scope="module")
def house(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("events")
    (folder / "ship_order.saga.yaml").write_text((EXAMPLE / "ship_order.saga.yaml").read_text("utf-8"), "utf-8")
    options = ("--task-queue", QUEUE)
    with worker(folder, server.address, *options), serve(folder, server.address, *options) as made:
        yield made


@pytest.fixture(scope="module")
def kafka() -> Iterator[Producer]:
    """A producer whose process has the cluster."""
    producer = Producer({"bootstrap.servers": "in this process", "test.mock.num.brokers": 1, "log_level": 2})
    yield producer
    producer.flush(10)


def _bootstrap(kafka: Producer) -> str:
    (broker,) = kafka.list_topics(timeout=PATIENCE).brokers.values()
    return f"{broker.host}:{broker.port}"


def _order() -> str:
    return uuid.uuid4().hex[:12]


def _placed(order: str, **more: Any) -> dict[str, Any]:
    return {"id": f"p-{order}", "type": "order.placed", "order": order, "data": {"item": "lamp"}, **more}


def _paid(order: str, **more: Any) -> dict[str, Any]:
    return {"id": f"m-{order}", "type": "payment.received", "order": order, "data": {"amount": 12}, **more}


def _raw(event: Any) -> bytes:
    return event if isinstance(event, bytes) else json.dumps(event).encode()


def _runs(house: House, order: str) -> list[str]:
    """Return the statuses of all runs of an order, as its own address knows them; none if there is no run."""
    answer = house.ask("GET", f"/sagas/order-{order}")
    if answer.status_code == 404:
        return []
    events = house.ask("GET", f"/sagas/order-{order}/trace").json()
    return [answer.json()["status"], json.dumps(events)]


def _end(house: House, order: str) -> tuple[str, Any]:
    answer = house.ask("GET", f"/sagas/order-{order}/result?wait=30s")
    assert answer.status_code == 200, answer.text
    return answer.json()["status"], answer.json().get("output")


def _never(seconds: float) -> None:
    raise AssertionError(f"there is nothing to wait for, and it wants to wait {seconds} s")


def _deliver(house: House, event: Any, wait: Callable[[float], None] = _never, **more: Any) -> str | None:
    deliver = importlib.import_module("deliver")
    with deliver.Gateway(house.url) as gateway:
        reason: str | None = deliver.deliver(gateway, _raw(event), wait, **more)
    return reason


@contextlib.contextmanager
def _reading(kafka: Producer, topic: str, group: str) -> Iterator[Consumer]:
    settings = importlib.import_module("from_kafka").SETTINGS
    consumer = Consumer(
        # a consumer that has gone is noticed sooner than by default
        {**settings, "group.id": group, "bootstrap.servers": _bootstrap(kafka), "session.timeout.ms": 6000}
    )
    consumer.subscribe([topic])
    try:
        yield consumer
    finally:
        consumer.close()


def _committed(consumer: Consumer, topic: str) -> int:
    return int(sum(max(each.offset, 0) for each in consumer.committed(_partitions(consumer, topic), timeout=PATIENCE)))


def _partitions(consumer: Consumer, topic: str) -> list[TopicPartition]:
    found = consumer.list_topics(topic, timeout=PATIENCE).topics[topic].partitions
    return [TopicPartition(topic, number) for number in found]


def _produce(kafka: Producer, topic: str, *events: Any) -> None:
    for event in events:
        kafka.produce(topic, value=_raw(event), key=b"one order")
    assert kafka.flush(10) == 0


def _consume(kafka: Producer, topic: str, url: str, count: int, group: str) -> list[tuple[bytes, str]]:
    """Handle events until so many are committed; return the dead letters with their reasons."""
    example, deliver = importlib.import_module("from_kafka"), importlib.import_module("deliver")
    dead = f"{topic}.dead"
    with _reading(kafka, topic, group) as consumer, deliver.Gateway(url) as gateway:
        example.consume(consumer, kafka, dead, gateway, lambda: _committed(consumer, topic) < count, patience=0.0)
    return _all_of(kafka, dead)


def _all_of(kafka: Producer, topic: str) -> list[tuple[bytes, str]]:
    reader = Consumer({"bootstrap.servers": _bootstrap(kafka), "group.id": uuid.uuid4().hex})
    found = []
    try:
        places = _partitions(reader, topic)
        ends = {place.partition: reader.get_watermark_offsets(place, timeout=PATIENCE)[1] for place in places}
        reader.assign([TopicPartition(topic, place.partition, 0) for place in places])
        while len(found) < sum(ends.values()):
            message = reader.poll(1.0)
            if message is not None and not message.error():
                found.append((message.value(), dict(message.headers())["reason"].decode()))
    finally:
        reader.close()
    return found


def test_duplicates_start_one_saga_and_count_once(house: House, kafka: Producer) -> None:
    """The same event twice, the same news as another event; poison goes to the dead letters, and holds up nobody."""
    order, topic = _order(), f"orders-{_order()}"
    news = [
        _placed(order),
        _placed(order),
        b"no json",
        _placed(order, id="published-again"),
        {"id": "x", "type": "order.placed", "order": "a/b", "data": {"item": "lamp"}},
        {"id": "y", "type": "stock.counted", "order": order, "data": {}},
        _placed(order, data={"item": "chair"}),
        _paid(order, data={"amount": "twelve"}),
        _paid(order),
        _paid(order),
    ]
    _produce(kafka, topic, *news)

    dead = _consume(kafka, topic, house.url, len(news), f"g-{order}")

    assert _end(house, order) == ("completed", {"order": order, "amount": 12})
    assert [(json.loads(raw)["id"] if raw.startswith(b"{") else "", reason[:9]) for raw, reason in dead] == [
        ("", "no event "),
        ("x", "no event "),
        (f"p-{order}", "409 SD952"),
        (f"m-{order}", "422 SD964"),
    ]


def test_what_was_not_committed_comes_again_and_counts_once(house: House, kafka: Producer) -> None:
    """The consumer dies between the gateway's answer and its commit."""
    order, topic = _order(), f"orders-{_order()}"
    _produce(kafka, topic, _placed(order), _paid(order))
    with _reading(kafka, topic, f"g-{order}") as dies:
        while (message := dies.poll(1.0)) is None or message.error():
            pass
        assert _deliver(house, message.value()) is None
        assert _committed(dies, topic) == 0
    assert _runs(house, order)[0] == "running"

    assert _consume(kafka, topic, house.url, 2, f"g-{order}") == []

    assert _end(house, order) == ("completed", {"order": order, "amount": 12})


def test_as_long_as_the_gateway_is_away_nothing_is_committed(
    house: House, kafka: Producer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No event is lost, none is a dead letter, and none takes another's place."""
    order, topic = _order(), f"orders-{_order()}"
    _produce(kafka, topic, _placed(order), _paid(order))
    example = importlib.import_module("from_kafka")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    committed: list[int] = []
    with contextlib.ExitStack() as stack:

        def wait(consumer: Consumer, seconds: float) -> None:
            committed.append(_committed(consumer, topic))
            if len(committed) == 2:
                options = ("--task-queue", QUEUE, "--bind", f"127.0.0.1:{port}")
                stack.enter_context(serve(house.folder, house.address, *options))

        monkeypatch.setattr(example, "_wait", wait)
        assert _consume(kafka, topic, f"http://127.0.0.1:{port}", 2, f"g-{order}") == []

    assert set(committed) == {0}
    assert len(committed) >= 2
    assert _end(house, order) == ("completed", {"order": order, "amount": 12})


def test_while_it_waits_a_consumer_stays_in_the_group_and_loses_no_event(kafka: Producer) -> None:
    """It polls, as Kafka wants it to, but takes nothing."""
    topic = f"orders-{_order()}"
    _produce(kafka, topic, b"1", b"2", b"3")
    example = importlib.import_module("from_kafka")
    with _reading(kafka, topic, topic) as consumer:
        seen = []
        while len(seen) < 3:
            message = consumer.poll(1.0)
            if message is not None and not message.error():
                seen.append(message.value())
                example._wait(consumer, 0.2)
    assert seen == [b"1", b"2", b"3"]


def test_an_event_that_comes_before_its_saga_waits_for_it(house: House) -> None:
    """Of another partition, or of a queue without an order."""
    order = _order()
    waited: list[float] = []

    def wait(seconds: float) -> None:
        waited.append(seconds)
        if len(waited) == 2:
            assert _deliver(house, _placed(order)) is None

    assert _deliver(house, _paid(order), wait) is None
    assert waited == [1.0, 2.0]
    assert _end(house, order) == ("completed", {"order": order, "amount": 12})


def test_an_event_whose_saga_never_comes_is_dead_after_a_while(house: House) -> None:
    waited: list[float] = []
    reason = _deliver(house, _paid(_order()), waited.append, patience=5.0)
    assert (reason or "").startswith("404 ")
    assert waited == [1.0, 2.0, 4.0]


def test_an_event_that_comes_again_after_the_end_is_no_dead_letter(house: House) -> None:
    """It has counted. News that comes too late has not, and somebody has to look at it."""
    order = _order()
    for event in (_placed(order), _paid(order)):
        assert _deliver(house, event) is None
    assert _end(house, order)[0] == "completed"
    assert [_deliver(house, event) for event in (_placed(order), _paid(order))] == [None, None]
    late = _deliver(house, _paid(order, id=f"second-{order}"))
    assert (late or "").startswith("409 SD924 ")


class Queues:
    """Queues with the methods and the shapes of boto3's SQS, as far as the example calls them."""

    def __init__(self) -> None:
        self.waiting: dict[str, list[dict[str, Any]]] = {"orders": [], "dead": []}
        self.hidden: dict[str, dict[str, Any]] = {}
        self.extended: list[int] = []

    def put(self, *events: Any) -> None:
        for number, event in enumerate(events):
            attributes = {"MessageGroupId": "one order", "SequenceNumber": str(number)}
            body = {"MessageId": uuid.uuid4().hex, "Body": _raw(event).decode(), "Attributes": attributes}
            self.waiting["orders"].append(body)

    def receive_message(
        self, *, QueueUrl: str, MaxNumberOfMessages: int, WaitTimeSeconds: int, VisibilityTimeout: int, **_: Any
    ) -> dict[str, Any]:
        assert not self.hidden, "of a group in order, the next one comes when the one before has gone"
        taken = self.waiting[QueueUrl][:MaxNumberOfMessages]
        del self.waiting[QueueUrl][:MaxNumberOfMessages]
        for each in taken:
            each["ReceiptHandle"] = uuid.uuid4().hex
            self.hidden[each["ReceiptHandle"]] = each
        return {"Messages": [dict(each) for each in taken]} if taken else {}

    def change_message_visibility(self, *, QueueUrl: str, ReceiptHandle: str, VisibilityTimeout: int) -> None:
        assert ReceiptHandle in self.hidden
        assert 0 <= VisibilityTimeout <= 43200
        self.extended.append(VisibilityTimeout)

    def delete_message(self, *, QueueUrl: str, ReceiptHandle: str) -> None:
        del self.hidden[ReceiptHandle]

    def send_message(self, *, QueueUrl: str, MessageBody: str, **more: Any) -> None:
        self.waiting[QueueUrl].append({"Body": MessageBody, **more})

    def come_again(self) -> None:
        """What was received and not deleted is seen again."""
        self.waiting["orders"] = [*self.hidden.values(), *self.waiting["orders"]]
        self.hidden.clear()

    @property
    def left(self) -> bool:
        return bool(self.waiting["orders"])


def test_messages_of_sqs_count_once_and_are_deleted_afterwards(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Duplicates, poison, a consumer that dies before it deletes, and a gateway that comes back."""
    example, deliver = importlib.import_module("from_sqs"), importlib.import_module("deliver")
    order, queues = _order(), Queues()
    queues.put(_placed(order), _placed(order), b"no json", _paid(order), _paid(order))
    pauses: list[float] = []
    monkeypatch.setattr(example.time, "sleep", pauses.append)

    class Dies(Exception):
        pass

    class Mortal(Queues):
        def delete_message(self, **_: Any) -> None:
            raise Dies

    mortal = Mortal()
    mortal.waiting, mortal.hidden = queues.waiting, queues.hidden
    with deliver.Gateway(house.url) as gateway, pytest.raises(Dies):
        example.consume(mortal, "orders", "dead", gateway, lambda: True)
    queues.come_again()

    class ComesBack(deliver.Gateway):  # type: ignore[misc, name-defined] # found on the path of the example
        away = 2

        def send(self, request: Any) -> Any:
            if self.away:
                self.away -= 1
                return deliver.Answer("later", "503", after=7.0 if self.away else 0.0)
            return super().send(request)

    with ComesBack(house.url) as gateway:
        example.consume(queues, "orders", "dead", gateway, lambda: queues.left)

    assert _end(house, order) == ("completed", {"order": order, "amount": 12})
    assert (queues.waiting["orders"], queues.hidden) == ([], {})
    assert (pauses, queues.extended) == ([7.0, 2.0], [67, 62])
    (letter,) = queues.waiting["dead"]
    assert letter["Body"] == "no json"
    assert letter["MessageAttributes"]["reason"]["StringValue"].startswith("no event of a known form")
    assert letter["MessageGroupId"] == "one order"


@pytest.mark.parametrize(("status", "verdict"), [(401, "later"), (403, "later"), (429, "later"), (400, "dead")])
def test_what_is_our_own_trouble_is_no_dead_letter(
    house: House, monkeypatch: pytest.MonkeyPatch, status: int, verdict: str
) -> None:
    """A token that is wrong is wrong for every event."""
    deliver = importlib.import_module("deliver")

    def post(*_: Any, **__: Any) -> Any:
        return importlib.import_module("httpx2").Response(status, json={"code": "SD900", "detail": "no"})

    with deliver.Gateway(house.url) as gateway:
        monkeypatch.setattr(gateway._client, "post", post)
        assert gateway.send(deliver.Request("/x", {}, {})).verdict == verdict


def test_what_the_page_shows_is_what_runs() -> None:
    """Each block of the page stands in a file of the example."""
    page = (EXAMPLE.parents[1] / "docs" / "patterns" / "events.md").read_text("utf-8")
    sources = [path.read_text("utf-8") for path in sorted(EXAMPLE.glob("*.py"))]
    blocks = re.findall(r"^```python\n(.*?)^```", page, re.M | re.S)
    assert len(blocks) == 2
    for block in blocks:
        assert any(block in source for source in sources), block
    for link in re.findall(r"\]\(([^)#]+)[^)]*\)", page):
        assert (EXAMPLE.parents[1] / "docs" / "patterns" / link).exists(), link


def test_the_event_of_the_readme_is_one(house: House) -> None:
    (shown,) = re.findall(r"^```json\n(.*?)^```", (EXAMPLE / "README.md").read_text("utf-8"), re.M | re.S)
    event = json.loads(shown)
    assert _deliver(house, event | {"order": _order()}) is None
