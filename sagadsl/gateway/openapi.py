"""The gateway, described as OpenAPI 3.1: one address for each saga, with the schema of its own input.

A test keeps it true: it sends the requests that this describes, and checks the answers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import version
from typing import Any

from sagadsl.engine.verbs import DECISIONS, GIVEN_WITH, NEED_A_PATH, SENTENCES, VERBS, Verb
from sagadsl.gateway.jobs.described import JOB_ORDER, JOB_SCHEMAS
from sagadsl.gateway.operating import DRY
from sagadsl.gateway.problems import MEDIA
from sagadsl.gateway.redriving import FLAGS
from sagadsl.status.parts import MOST
from sagadsl.temporal.read.listing import STATUSES
from sagadsl.temporal.wire.arguments import Package

Data = dict[str, Any]

_TEXT: Data = {"type": "string"}
_BASE64: Data = {"type": "string", "contentEncoding": "base64", "pattern": "^([A-Za-z0-9+/]{4})*$"}
_NULLABLE: Data = {"type": ["string", "null"]}
_ANY: Data = {}
_STEP = "Needed when several wait for a decision; its path may lead through child sagas"
_CHILD = "Path of a child saga, instead of the saga itself"
_BACK_TO = "The step that is done once more, with all that follows it; its path may lead into a child saga"


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
        "paths": paths | _reading() | _operating() | _jobs() | _coding() | _offering(),
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
        "parameters": [_ref("parameters", each) for each in ("wait-to-start", "idempotency-key", "workflow-id")],
        "requestBody": {
            "required": bool(package.check_input({})),
            "content": {"application/json": {"schema": _ref("schemas", f"input.{saga.name}")}},
        },
        "responses": {
            "200": _json(
                "It has ended, or has answered early (`wait=answer`), within the time that was waited",
                {"oneOf": [_ref("schemas", "ended"), _ref("schemas", "answered")]},
            ),
            "202": {**_json("It runs", _ref("schemas", "started")), "headers": headers},
            **_refusals("400", "409", "413", "415", "422"),
        },
    }


def _reading() -> Data:
    wait, since, run = (_ref("parameters", each) for each in ("wait", "since", "run"))
    later = {"202": _json("It has not ended", _ref("schemas", "standing"))}
    return {
        "/sagas": _get(
            "list_sagas",
            "List sagas, newest first",
            "page",
            [_ref("parameters", each) for each in ("name", "status", "id-prefix", "where", "limit", "page")],
        ),
        "/counts": _get(
            "count_sagas",
            "How many sagas have each status",
            "counts",
            [_ref("parameters", each) for each in ("name", "id-prefix", "where")],
        ),
        "/incidents": _get(
            "list_incidents",
            "What waits for a person, by definition, step and error",
            "incidents",
            [_ref("parameters", each) for each in ("name", "error")],
        ),
        "/sagas/{id}": _get(
            "status",
            "How a saga stands",
            "status",
            [*(_ref("parameters", each) for each in ("id", "steps", "after")), wait, since, run],
            {"304": {"description": "Nothing has changed since `If-None-Match`"}, "409": _ref("responses", "problem")},
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
            "trace", "What a saga was given, sent and got back", "trace", [_ref("parameters", "id"), run]
        ),
        "/sagas/{id}/explanation": _get(
            "explanation", "What happened, in sentences", "explanation", [_ref("parameters", "id"), run]
        ),
        "/sagas/{id}/queries/{query}": _get(
            "query",
            "The answer of a saga to a query of its definition",
            "query",
            [_ref("parameters", "id"), _ref("parameters", "query")],
            _refusals("409", "503"),
        ),
        "/sagas/{id}/signals": _get(
            "signals",
            "The signals that a saga knows, and what waits for them",
            "signals",
            [_ref("parameters", "id")],
            _refusals("409"),
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
    asked = {"202": _json("The saga was asked", _ref("schemas", "asked"))}
    sent = {"202": _json("The signal was sent, and what became of it", _ref("schemas", "sent"))}
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
    paths["/sagas/{id}/migrate"] = _post(
        "migrate",
        "Let a saga go on with the definition of its name that the gateway has now",
        [id_],
        _MIGRATION,
        {"200": _json("What became of it", _ref("schemas", "migrated")), **_refusals("503")},
    )
    plan = {"200": _json("With `dry_run`: the plan", _ref("schemas", "plan"))}
    taken = {**plan, "202": _json("A new run has begun", _ref("schemas", "taken_up")), **_refusals("503")}
    for name, sentence in _TAKING_UP.items():
        answers = asked if name == "terminate" else taken
        body = _request(given=_BACK if name == "redrive" else {}, flags=FLAGS[name])
        paths[f"/sagas/{{id}}/{name}"] = _post(name, sentence, [id_], body, answers)
    for name, verb in VERBS.items():
        is_decision = verb in DECISIONS
        step = _STEP if is_decision else _BACK_TO if verb is Verb.RESET else _CHILD
        given = {key: _GIVEN[key] for key in GIVEN_WITH.get(verb, ())}
        is_dry = ("dry_run",) if verb in DRY else ()
        is_about_one = verb in NEED_A_PATH
        body = _request(step=step, is_about_one=is_about_one, is_decision=is_decision, given=given, flags=is_dry)
        answer = _ref("schemas", "operated")
        answer = {"anyOf": [answer, _ref("schemas", "reset_plan")]} if is_dry else answer
        done = {"200": _json("Done; with `dry_run`, the plan" if is_dry else "Done", answer), **_refusals("503")}
        paths[f"/sagas/{{id}}/{name}"] = _post(name, SENTENCES[verb], [id_, key], body, done)
    return paths


def _jobs() -> Data:
    id_, key = _ref("parameters", "job"), _ref("parameters", "request-key")
    begun = {
        "200": _json("Which sagas are meant; none of them is asked", _ref("schemas", "job_seen")),
        "202": _json("Begun", _ref("schemas", "job_begun")),
    }
    begin = _post("begin_job", "Ask many sagas for the same", [key], JOB_ORDER, begun)
    begin["post"]["requestBody"]["required"] = True
    pages = [_ref("parameters", each) for each in ("limit", "page")]
    look = _get("job", "How far a job is", "job", [id_, _ref("parameters", "answers")])
    asked = {"202": _json("It asks no further saga", _ref("schemas", "asked"))}
    cancel = _post("cancel_job", "Ask no further saga", [id_], _NOTHING, asked)
    return {
        "/jobs": begin | _get("list_jobs", "List jobs, newest first", "jobs", pages),
        "/jobs/{id}": look,
        "/jobs/{id}/cancel": cancel,
        "/jobs/{id}/events": {
            "get": {
                "operationId": "job_events",
                "summary": "A job each time it has changed, as server-sent events",
                "tags": ["read"],
                "parameters": [id_],
                "responses": {
                    "200": {
                        "description": "Events `progress`, then `end`",
                        "content": {"text/event-stream": {"schema": _TEXT}},
                    },
                    **_refusals("400", "404"),
                },
            }
        },
    }


def _coding() -> Data:
    payloads = _object({"payloads": _list(_ref("schemas", "payload"))})
    done = {"200": _json("The same payloads, in their order", payloads)} | _refusals("503")
    return {
        f"/codec/{doing}": _post(
            f"{doing}_payloads", f"{doing.capitalize()} payloads, for Temporal's tools", [], payloads, done
        )
        for doing in ("encode", "decode")
    }


def _offering() -> Data:
    name = _ref("parameters", "definition")
    return {
        "/definitions": _get("list_definitions", "What may be started or read", "definitions", []),
        "/definitions/{name}": _get("definition", "One definition, with the schema of its input", "definition", [name]),
        "/definitions/{name}/graph": _get("definition_graph", "Its steps, as a tree", "graph", [name]),
        "/me": _get("me", "Who asks, and what the token allows", "me", []),
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


_GIVEN: Data = {
    "input": {"description": "Input of the call, instead of the one that it had"},
    "output": {"description": "Output of the step, which later steps read; a compensation has none"},
    "new_key": {"type": "boolean", "description": "Give the call a new idempotency key"},
    "nothing_to_undo": {"type": "boolean", "description": "Never undo the step"},
}

_BACK: Data = {
    "from": {"type": "string", "maxLength": 1000, "description": "The step to which it goes back; not with `undo`"}
}


def _request(
    *,
    step: str = "",
    is_about_one: bool = False,
    is_decision: bool = False,
    given: Mapping[str, Any] | None = None,
    flags: Sequence[str] = (),
) -> Data:
    text = {"type": "string", "maxLength": 1000}
    properties: Data = {
        "why": text | {"description": "Kept in the saga, and in the audit log"},
        "by": text | {"description": "Only if the gateway needs no token"},
    }
    if step:
        properties["step"] = text | {"description": step}
    if is_decision:
        properties["occurrence"] = {
            "type": "integer",
            "minimum": 1,
            "description": "Which wait of the step this decides, as `attention` shows it; refused if already decided",
        }
    properties |= given or {}
    properties |= {flag: {"type": "boolean"} for flag in flags}
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
    "job": _parameter("id", "path", _TEXT, "Id of the job"),
    "answers": _parameter("answers", "query", {"type": "boolean"}, "Every answer, not only the first problems"),
    "signal": _parameter("signal", "path", _TEXT, "Name of the signal"),
    "query": _parameter("query", "path", _TEXT, "Name of the query"),
    "definition": _parameter("name", "path", _TEXT, "Name of the definition"),
    "wait": _parameter(
        "wait",
        "query",
        {"type": "string", "pattern": r"^[1-9][0-9]{0,3}s$|^true$|^false$"},
        "How long to wait; `true` waits as long as the gateway allows, 60 s by default",
    ),
    "wait-to-start": _parameter(
        "wait",
        "query",
        {"type": "string", "pattern": r"^[1-9][0-9]{0,3}s$|^true$|^false$|^answer$"},
        "How long to wait for the end; `true` and `answer` wait as long as the gateway allows, 60 s by default. With "
        "`answer` the saga's early answer is enough",
    ),
    "run": _parameter("run", "query", _VISIBLE, "An earlier run of the saga; the newest if left out"),
    "since": _parameter("since", "query", _VISIBLE, "`revision` of the last answer: wait until it changes"),
    "name": _parameter("name", "query", _VISIBLE, "Only sagas of this name; `x*` is every name that begins with `x`"),
    "status": _parameter("status", "query", _STATUS, "Only sagas with this status"),
    "error": _parameter("error", "query", _VISIBLE, "Only what waits because of this error type"),
    "where": _parameter(
        "where",
        "query",
        {"type": "string", "maxLength": 0},
        'Only sagas whose search attributes are so: `OrderId = "42"`',
    ),
    "id-prefix": _parameter("id", "query", _VISIBLE, "Only ids that begin with this"),
    "limit": _parameter("limit", "query", {"type": "integer", "minimum": 1, "maximum": 200}, "How many at most"),
    "steps": _parameter(
        "limit", "query", {"type": "integer", "minimum": 1, "maximum": MOST}, "Show so many steps, in their order"
    ),
    "after": _parameter("after", "query", _VISIBLE, "Show the steps behind this one; `part.next` of the last answer"),
    "page": _parameter("page", "query", {"type": "string", "maxLength": 0}, "`next_page` of the previous answer"),
    "idempotency-key": _parameter(
        "Idempotency-Key",
        "header",
        {"type": "string", "pattern": "^[!-~]{1,200}$"},
        "A request with the same key gets the same run",
    ),
    "request-key": _parameter(
        "Idempotency-Key",
        "header",
        {"type": "string", "pattern": "^[!-~]{1,200}$"},
        "A request that is repeated with the same key counts once",
    ),
    "workflow-id": _parameter(
        "Workflow-Id",
        "header",
        {"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9._:@=+~-]{0,199}$"},
        "Id of the run",
    ),
}
_NOTHING: Data = {}
_MIGRATION: Data = {
    "type": "object",
    "properties": {
        "why": {"type": "string", "maxLength": 1000, "description": "Kept in the saga, and in the audit log"},
        "by": {"type": "string", "maxLength": 1000, "description": "Only if the gateway needs no token"},
        "digest": {"type": "string", "maxLength": 1000, "description": "Refused if the gateway has another definition"},
        "dry_run": {"type": "boolean", "description": "Only judge; nothing changes"},
    },
    "additionalProperties": False,
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
    },
    takes_up=_TEXT,
    taken_up_by=_TEXT,
)
_NODES = _list({"type": "object", "required": ["id", "path", "kind", "what"]})
_PLAN = _object(
    {
        "id": _TEXT,
        "verb": _TEXT,
        "run_id": _TEXT,
        "status": _TEXT,
        "how": {"type": "string", "enum": ["undo", "forward", "anew"]},
        "calls": _list(_object({"call": _TEXT, "name": _TEXT, "what": _TEXT})),
        "then": _list(_TEXT),
        "kept": _list(_TEXT),
        "undone": _list(_TEXT),
        "unknown": _list(_TEXT),
        "out_of_order": _list(_TEXT),
        "ends_as": _NULLABLE,
        "waits_for": _list(_TEXT),
        "not_before": _NULLABLE,
    },
    to=_TEXT,
    lines=_list(_TEXT),
)
_TAKING_UP = {
    "recover": "Undo or finish a saga whose run the server ended",
    "redrive": "Go on with a saga that has failed",
    "terminate": "Kill a saga; with `undo`, a new run undoes what it has done",
}
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
    "query": _object({"id": _TEXT, "query": _TEXT, "answer": _ANY}),
    "answered": _object({"id": _TEXT, "answer": _ANY, "run_id": _TEXT, "name": _TEXT}),
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
            "told": _list(_object({"box": _TEXT, "state": _TEXT, "text": _TEXT})),
            "children": _list(
                _object(
                    {"path": _TEXT, "id": _TEXT, "name": _TEXT, "status": _TEXT, "paused": {"type": "boolean"}},
                    attention=_list(
                        _object(
                            {
                                "path": _TEXT,
                                "target": _TEXT,
                                "undoes": {"type": "boolean"},
                                "type": _TEXT,
                                "message": _TEXT,
                            }
                        )
                    ),
                    waiting_for={"type": "object"},
                )
            ),
            "attempts": _list(
                _object(
                    {"call": _TEXT, "attempt": {"type": "integer"}, "failure": _TEXT, "next_at": _NULLABLE},
                    paused={"type": "boolean"},
                )
            ),
        },
        part=_object({"first": {"type": "integer"}, "of": {"type": "integer"}, "next": _NULLABLE}),
    ),
    "page": _object({"sagas": _list(_SAGA), "next_page": _NULLABLE, "as_of": _TEXT, "untold": {"type": "integer"}}),
    "incidents": _object(
        {
            "groups": _list(
                _object(
                    {
                        "name": _TEXT,
                        "step": _TEXT,
                        "kind": _TEXT,
                        "type": _TEXT,
                        "count": {"type": "integer"},
                        "since": _NULLABLE,
                        "incidents": _list(
                            _object(
                                {
                                    "id": _TEXT,
                                    "name": _TEXT,
                                    "path": _TEXT,
                                    "undoes": {"type": "boolean"},
                                    "kind": _TEXT,
                                    "type": _TEXT,
                                    "message": _TEXT,
                                    "since": _NULLABLE,
                                    "occurrence": {"type": "integer"},
                                }
                            )
                        ),
                    }
                )
            ),
            "as_of": _TEXT,
            "unanswered": {"type": "integer"},
            "has_more": {"type": "boolean"},
        }
    ),
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
    "graph": _object({"name": _TEXT, "version": _TEXT, "steps": _NODES, "on_failure": _NODES, "on_pause": _NODES}),
    "signals": _object(
        {
            "id": _TEXT,
            "signals": _list(
                _object(
                    {
                        "signal": _TEXT,
                        "payload": {"type": ["object", "null"]},
                        "waits": _list(
                            _object(
                                {
                                    "path": _TEXT,
                                    "id": _TEXT,
                                    "since": _NULLABLE,
                                    "until": _NULLABLE,
                                    "counts_from": {"type": "string", "enum": ["now", "start"]},
                                }
                            )
                        ),
                        "kept": {"type": "integer"},
                        "kept_from": _list(_TEXT),
                    }
                )
            ),
        }
    ),
    "asked": _object({"id": _TEXT, "requested": _TEXT}, run_id=_NULLABLE),
    "plan": _PLAN,
    "taken_up": _object({"id": _TEXT, "verb": _TEXT, "run_id": _TEXT, "plan": _PLAN}),
    "sent": _object(
        {
            "id": _TEXT,
            "signal": _TEXT,
            "request": _TEXT,
            "state": {"type": "string", "enum": ["taken", "kept", "sent"]},
            "step": _NULLABLE,
            "checked": {"type": "boolean"},
            "confirmed": {"type": "boolean"},
            "repeated": {"type": "boolean"},
        },
        reply=_ANY,
    ),
    "migrated": _object(
        {
            "id": _TEXT,
            "outcome": {"type": "string", "enum": ["migrated", "waits", "already", "can"]},
            "digest": _TEXT,
            "waits_for": _list(_TEXT),
            "notes": _list(_TEXT),
        }
    ),
    "reset_plan": _object(
        {"id": _TEXT, "to": _TEXT, "why": _TEXT, "stops": _list(_TEXT), "undo": _list(_TEXT), "again": _list(_TEXT)},
        lines=_list(_TEXT),
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
    **JOB_SCHEMAS,
    "me": _object({"name": _TEXT, "is_known": {"type": "boolean"}, "rights": {"type": "object"}}),
    "health": _object({"status": _TEXT}),
    "payload": {
        "type": "object",
        "properties": {"metadata": {"type": "object", "additionalProperties": _BASE64}, "data": _BASE64},
    },
}
