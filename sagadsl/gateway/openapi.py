"""The gateway, described as OpenAPI 3.1: one address for each saga, with the schema of its own input.

A test keeps it true: it sends the requests that this describes, and checks the answers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib.metadata import version
from typing import Any

from sagadsl.engine.verbs import DECISIONS, SENTENCES, VERBS, Verb
from sagadsl.gateway.problems import MEDIA
from sagadsl.temporal.arguments import Package
from sagadsl.temporal.read.listing import STATUSES

Data = dict[str, Any]

_TEXT: Data = {"type": "string"}
_NULLABLE: Data = {"type": ["string", "null"]}
_ANY: Data = {}
_STEP = "Needed when several wait for a decision; its path may lead through child sagas"
_CHILD = "Path of a child saga, instead of the saga itself"


def document(packages: Iterable[Package]) -> Data:
    """Return the description of a gateway that offers *packages*."""
    schemas: Data = dict(_SCHEMAS)
    paths: Data = {}
    for package in packages:
        name = package.saga.name
        schemas[f"input.{name}"] = _moved(package.definition.get("input", {}), f"input.{name}")
        paths[f"/sagas/{name}"] = {"post": _start(package)}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "sagadsl gateway",
            "version": version("sagadsl"),
            "description": "Start sagas, see how they stand, step in.",
        },
        "paths": paths | _reading() | _operating() | _offering(),
        "components": {
            "schemas": schemas,
            "parameters": _PARAMETERS,
            "responses": {"problem": _problem()},
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{}, {"token": []}],
    }


def _moved(schema: Any, name: str) -> Any:
    """Return a schema with its internal references adapted to its new place."""
    if isinstance(schema, dict):
        return {
            key: f"#/components/schemas/{name}{value[1:]}"
            if key == "$ref" and isinstance(value, str) and value.startswith("#")
            else _moved(value, name)
            for key, value in schema.items()
        }
    return [_moved(each, name) for each in schema] if isinstance(schema, list) else schema


def _start(package: Package) -> Data:
    saga = package.saga
    headers = {
        "Location": {"description": "Where to see how it stands", "schema": _TEXT},
        "Retry-After": {"description": "Seconds until it makes sense to look", "schema": _TEXT},
    }
    return {
        "operationId": f"start_{saga.name}",
        "summary": f"Start {saga.name}",
        "description": saga.description or f"Start saga `{saga.name}`.",
        "tags": ["start"],
        "parameters": [_ref("parameters", each) for each in ("wait", "idempotency-key", "workflow-id")],
        "requestBody": {
            "required": bool(package.check_input({})),
            "content": {"application/json": {"schema": _ref("schemas", f"input.{saga.name}")}},
        },
        "responses": {
            "200": _json("It has ended, within the time that was waited", _ref("schemas", "ended")),
            "202": {**_json("It runs", _ref("schemas", "started")), "headers": headers},
            **_refusals("400", "409", "413", "415", "422"),
        },
    }


def _reading() -> Data:
    wait, since = _ref("parameters", "wait"), _ref("parameters", "since")
    later = {"202": _json("It has not ended", _ref("schemas", "standing"))}
    return {
        "/sagas": _get(
            "list_sagas",
            "List sagas, newest first",
            "page",
            [_ref("parameters", each) for each in ("name", "status", "id-prefix", "limit", "page")],
        ),
        "/counts": _get(
            "count_sagas",
            "How many sagas stand how",
            "counts",
            [_ref("parameters", each) for each in ("name", "id-prefix")],
        ),
        "/sagas/{id}": _get(
            "status",
            "How a saga stands",
            "status",
            [_ref("parameters", "id"), wait, since],
            {"304": {"description": "It stands as `If-None-Match` says"}},
        ),
        "/sagas/{id}/result": _get("result", "How a saga has ended", "ended", [_ref("parameters", "id"), wait], later),
        "/sagas/{id}/events": {
            "get": {
                "operationId": "events",
                "summary": "A saga each time it has changed, as server-sent events",
                "tags": ["read"],
                "parameters": [_ref("parameters", "id")],
                "responses": {
                    "200": {
                        "description": "Events `status`, then `end`",
                        "content": {"text/event-stream": {"schema": _TEXT}},
                    },
                    **_refusals("404"),
                },
            }
        },
        "/sagas/{id}/trace": _get(
            "trace", "What a saga was given, sent and got back", "trace", [_ref("parameters", "id")]
        ),
        "/sagas/{id}/explanation": _get(
            "explanation", "What happened, in sentences", "explanation", [_ref("parameters", "id")]
        ),
        "/sagas/{id}/graph": _get(
            "run_graph",
            "The steps of the definition that a run is pinned to",
            "graph",
            [_ref("parameters", "id")],
            _refusals("503"),
        ),
    }


def _operating() -> Data:
    id_, key = _ref("parameters", "id"), _ref("parameters", "request-key")
    asked = {"202": _json("It was asked to", _ref("schemas", "asked"))}
    sent = {"202": _json("It was sent: what became of it", _ref("schemas", "sent"))}
    paths: Data = {
        "/sagas/{id}/signals/{signal}": _post(
            "signal",
            "Send a signal, with the body as its payload",
            [id_, _ref("parameters", "signal"), key],
            _ANY,
            sent,
        ),
        "/sagas/{id}/cancel": _post("cancel", "Stop a saga, and undo what it has done", [id_], _request(), asked),
    }
    for name, verb in VERBS.items():
        is_decision = verb in DECISIONS
        step = _STEP if is_decision else _CHILD
        body = _request(step=step, is_about_one=verb is Verb.SKIP_STEP, is_decision=is_decision)
        done = {"200": _json("Done", _ref("schemas", "operated")), **_refusals("503")}
        paths[f"/sagas/{{id}}/{name}"] = _post(name, SENTENCES[verb], [id_, key], body, done)
    return paths


def _offering() -> Data:
    name = _ref("parameters", "definition")
    return {
        "/definitions": _get("list_definitions", "What may be started or read", "definitions", []),
        "/definitions/{name}": _get("definition", "One definition, with the schema of its input", "definition", [name]),
        "/definitions/{name}/graph": _get("definition_graph", "Its steps, as a tree", "graph", [name]),
        "/me": _get("me", "Who asks, and what that one may do", "me", []),
        "/healthz": _get("health", "Whether this process answers", "health", []),
        "/readyz": _get(
            "readiness",
            "Whether sagas can be started",
            "health",
            [],
            {"503": _json("Not now", _ref("schemas", "health"))},
        ),
    }


def _get(id_: str, summary: str, schema: str, parameters: list[Data], more: Mapping[str, Any] | None = None) -> Data:
    responses = {"200": _json("As asked", _ref("schemas", schema)), **_refusals("400", "404"), **(more or {})}
    return {
        "get": {
            "operationId": id_,
            "summary": summary,
            "tags": ["read"],
            "parameters": parameters,
            "responses": responses,
        }
    }


def _post(id_: str, summary: str, parameters: list[Data], body: Data, responses: Data) -> Data:
    operation = {
        "operationId": id_,
        "summary": summary,
        "tags": ["operate"],
        "parameters": parameters,
        "requestBody": {"content": {"application/json": {"schema": body}}},
        "responses": {**responses, **_refusals("400", "404", "409", "413", "415", "422")},
    }
    return {"post": operation}


def _request(*, step: str = "", is_about_one: bool = False, is_decision: bool = False) -> Data:
    text = {"type": "string", "maxLength": 1000}
    properties: Data = {
        "why": text | {"description": "Kept in the saga, and in the audit log"},
        "by": text | {"description": "Only where no token is wanted"},
    }
    if step:
        properties["step"] = text | {"description": step}
    if is_decision:
        properties["occurrence"] = {
            "type": "integer",
            "minimum": 1,
            "description": "Which time it is that it waits, as `attention` shows it: refused when that is decided",
        }
    needed = {"required": ["step"]} if is_about_one else {}
    return {"type": "object", "properties": properties, "additionalProperties": False, **needed}


def _ref(kind: str, name: str) -> Data:
    return {"$ref": f"#/components/{kind}/{name}"}


def _json(description: str, schema: Data) -> Data:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _problem() -> Data:
    return {"description": "Refused, and why", "content": {MEDIA: {"schema": _ref("schemas", "problem")}}}


def _refusals(*statuses: str) -> Data:
    everywhere = ("401", "403", "405", "421", "429", "504")
    return {status: _ref("responses", "problem") for status in (*everywhere, *statuses)}


def _object(required: Mapping[str, Any], **optional: Any) -> Data:
    return {"type": "object", "required": list(required), "properties": {**required, **optional}}


def _list(schema: Data) -> Data:
    return {"type": "array", "items": schema}


def _parameter(name: str, where: str, schema: Data, description: str) -> Data:
    return {"name": name, "in": where, "required": where == "path", "schema": schema, "description": description}


_VISIBLE: Data = {"type": "string", "pattern": r"^[^\x00-\x1f\x7f]*$"}
_STATUS = {"type": "string", "enum": list(STATUSES)}
_PARAMETERS: Data = {
    "id": _parameter(
        "id", "path", _TEXT, "Id of the saga; a `/` in it, as those of child sagas have, is written `%2F`"
    ),
    "signal": _parameter("signal", "path", _TEXT, "Name of the signal"),
    "definition": _parameter("name", "path", _TEXT, "Name of the definition"),
    "wait": _parameter(
        "wait",
        "query",
        {"type": "string", "pattern": r"^[1-9][0-9]{0,3}s$|^true$|^false$"},
        "How long to wait; as long as the gateway allows, 60 s if nobody has said otherwise",
    ),
    "since": _parameter("since", "query", _VISIBLE, "`revision` of the last answer: wait for another one"),
    "name": _parameter("name", "query", _VISIBLE, "Only sagas of this name; `x*` is any that begins so"),
    "status": _parameter("status", "query", _STATUS, "Only those that stand so"),
    "id-prefix": _parameter("id", "query", _VISIBLE, "Only ids that begin so"),
    "limit": _parameter("limit", "query", {"type": "integer", "minimum": 1, "maximum": 200}, "How many at most"),
    "page": _parameter("page", "query", {"type": "string", "maxLength": 0}, "`next_page` of the answer before"),
    "idempotency-key": _parameter(
        "Idempotency-Key",
        "header",
        {"type": "string", "pattern": "^[!-~]{1,200}$"},
        "The same key again is the same run",
    ),
    "request-key": _parameter(
        "Idempotency-Key",
        "header",
        {"type": "string", "pattern": "^[!-~]{1,200}$"},
        "The same key again is the same request, and counts once",
    ),
    "workflow-id": _parameter(
        "Workflow-Id",
        "header",
        {"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9._:@=+~-]{0,199}$"},
        "Id of the run",
    ),
}
_ERROR = {"type": ["object", "null"], "properties": {"type": _TEXT, "message": _TEXT}}
_SAGA = _object(
    {
        "id": _TEXT,
        "run_id": _TEXT,
        "name": _TEXT,
        "version": _TEXT,
        "status": _TEXT,
        "started_at": _TEXT,
        "closed_at": _NULLABLE,
    }
)
_NODES = _list({"type": "object", "required": ["id", "path", "kind", "what"]})
_SCHEMAS: Data = {
    "problem": _object(
        {
            "type": _TEXT,
            "title": _TEXT,
            "status": {"type": "integer"},
            "detail": _TEXT,
            "code": {"type": "string", "pattern": "^SD"},
        },
        help=_TEXT,
        errors=_list(_object({"path": _TEXT, "reason": _TEXT})),
    ),
    "started": _object(
        {"id": _TEXT, "run_id": _TEXT, "name": _TEXT, "repeated": {"type": "boolean"}, "links": {"type": "object"}}
    ),
    "standing": _object({"id": _TEXT, "status": _TEXT, "output": _ANY}),
    "ended": _object(
        {"id": _TEXT, "status": _TEXT, "output": _ANY, "error": _ERROR, "report": {"type": ["object", "null"]}},
        warnings=_list(_object({"type": _TEXT, "message": _TEXT})),
    ),
    "status": _object(
        {
            "id": _TEXT,
            "name": _TEXT,
            "status": _TEXT,
            "revision": _TEXT,
            "is_open": {"type": "boolean"},
            "has_worker": {"type": "boolean"},
            "trouble": _list(_TEXT),
            "failure": _ERROR,
            "lines": _list(
                _object(
                    {
                        "key": _TEXT,
                        "box": _TEXT,
                        "undoes": {"type": "boolean"},
                        "sign": _TEXT,
                        "state": _TEXT,
                        "path": _TEXT,
                        "what": _TEXT,
                        "seconds": {"type": ["number", "null"]},
                    }
                )
            ),
            "steps": _list(_object({"path": _TEXT, "status": _TEXT})),
            "children": _list(
                _object(
                    {"path": _TEXT, "id": _TEXT, "name": _TEXT, "status": _TEXT, "paused": {"type": "boolean"}},
                    attention=_list(_object({"path": _TEXT, "target": _TEXT, "type": _TEXT, "message": _TEXT})),
                    waiting_for={"type": "object"},
                )
            ),
            "attempts": _list(
                _object(
                    {"call": _TEXT, "attempt": {"type": "integer"}, "failure": _TEXT, "next_at": _NULLABLE},
                    paused={"type": "boolean"},
                )
            ),
        }
    ),
    "page": _object({"sagas": _list(_SAGA), "next_page": _NULLABLE, "as_of": _TEXT, "untold": {"type": "integer"}}),
    "counts": _object({"counts": {"type": "object", "additionalProperties": {"type": "integer"}}, "as_of": _TEXT}),
    "trace": _object(
        {
            "id": _TEXT,
            "name": _TEXT,
            "input": _ANY,
            "output": _ANY,
            "calls": _list(_object({"path": _TEXT, "undoes": {"type": "boolean"}, "name": _TEXT, "status": _TEXT})),
            "outside": _list({"type": "object"}),
        }
    ),
    "explanation": _object({"id": _TEXT, "sentences": _list(_TEXT)}),
    "graph": _object({"name": _TEXT, "version": _TEXT, "steps": _NODES, "on_failure": _NODES}),
    "asked": _object({"id": _TEXT, "requested": _TEXT}),
    "sent": _object(
        {
            "id": _TEXT,
            "signal": _TEXT,
            "request": _TEXT,
            "state": {"type": "string", "enum": ["taken", "kept", "sent"]},
            "step": _NULLABLE,
            "checked": {"type": "boolean"},
            "repeated": {"type": "boolean"},
        }
    ),
    "operated": _object(
        {"id": _TEXT, "verb": _TEXT, "step": _NULLABLE, "status": _TEXT},
        children=_list(_object({"path": _TEXT, "id": _TEXT, "status": _TEXT, "problem": _NULLABLE})),
    ),
    "definitions": _object(
        {
            "definitions": _list(
                _object({"name": _TEXT, "version": _TEXT, "description": _TEXT, "may_start": {"type": "boolean"}})
            )
        }
    ),
    "definition": _object(
        {"name": _TEXT, "version": _TEXT, "input": {"type": ["object", "boolean"]}, "definition": {"type": "object"}}
    ),
    "me": _object({"name": _TEXT, "is_known": {"type": "boolean"}, "rights": {"type": "object"}}),
    "health": _object({"status": _TEXT}),
}
