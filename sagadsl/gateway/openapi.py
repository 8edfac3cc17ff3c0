"""The gateway, described as OpenAPI 3.1: one address for each saga, with the schema of its own input.

A test keeps it true: it sends the requests that this describes, and checks the answers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import version
from typing import Any

from sagadsl.engine.verbs import DECISIONS, GIVEN_WITH, NEED_A_PATH, SENTENCES, VERBS, Verb
from sagadsl.gateway.jobs.described import JOB_ORDER
from sagadsl.gateway.openapi_components import PARAMETERS, SCHEMAS, ref
from sagadsl.gateway.operating import DRY
from sagadsl.gateway.problems import MEDIA
from sagadsl.gateway.redriving import FLAGS
from sagadsl.gateway.schema_forms import ANY, TEXT, Data, list_of, object_of
from sagadsl.temporal.wire.arguments import Package

_STEP = "Needed when several wait for a decision; its path may lead through child sagas"
_CHILD = "Path of a child saga, instead of the saga itself"
_BACK_TO = "The step that is done once more, with all that follows it; its path may lead into a child saga"


def document(packages: Iterable[Package]) -> Data:
    """Return the description of a gateway that offers *packages*."""
    schemas: Data = dict(SCHEMAS)
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
            "parameters": PARAMETERS,
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
        "Location": {"description": "Where to see how it stands", "schema": TEXT},
        "Retry-After": {"description": "Seconds until it makes sense to look", "schema": TEXT},
    }
    return {
        "operationId": f"start_{saga.name}",
        "summary": f"Start {saga.name}",
        "description": saga.description or f"Start saga `{saga.name}`.",
        "tags": ["start"],
        "parameters": [ref("parameters", each) for each in ("wait-to-start", "idempotency-key", "workflow-id")],
        "requestBody": {
            "required": bool(package.check_input({})),
            "content": {"application/json": {"schema": ref("schemas", f"input.{saga.name}")}},
        },
        "responses": {
            "200": _json(
                "It has ended, or has answered early (`wait=answer`), within the time that was waited",
                {"oneOf": [ref("schemas", "ended"), ref("schemas", "answered")]},
            ),
            "202": {**_json("It runs", ref("schemas", "started")), "headers": headers},
            **_refusals("400", "409", "413", "415", "422"),
        },
    }


def _reading() -> Data:
    wait, since, run, hidden = (ref("parameters", each) for each in ("wait", "since", "run", "secrets"))
    later = {"202": _json("It has not ended", ref("schemas", "standing"))}
    return {
        "/sagas": _get(
            "list_sagas",
            "List sagas, newest first",
            "page",
            [ref("parameters", each) for each in ("name", "status", "id-prefix", "where", "limit", "page")],
        ),
        "/counts": _get(
            "count_sagas",
            "How many sagas have each status",
            "counts",
            [ref("parameters", each) for each in ("name", "id-prefix", "where")],
        ),
        "/incidents": _get(
            "list_incidents",
            "What waits for a person, by definition, step and error",
            "incidents",
            [ref("parameters", each) for each in ("name", "error")],
        ),
        "/sagas/{id}": _get(
            "status",
            "How a saga stands",
            "status",
            [*(ref("parameters", each) for each in ("id", "steps", "after")), wait, since, run],
            {"304": {"description": "Nothing has changed since `If-None-Match`"}, "409": ref("responses", "problem")},
        ),
        "/sagas/{id}/result": _get(
            "result", "How a saga has ended", "ended", [ref("parameters", "id"), wait, hidden], later
        ),
        "/sagas/{id}/events": {
            "get": {
                "operationId": "events",
                "summary": "A saga each time it has changed, as server-sent events",
                "tags": ["read"],
                "parameters": [ref("parameters", "id")],
                "responses": {
                    "200": {
                        "description": "Events `status`, then `end`",
                        "content": {"text/event-stream": {"schema": TEXT}},
                    },
                    **_refusals("404"),
                },
            }
        },
        "/sagas/{id}/trace": _get(
            "trace", "What a saga was given, sent and got back", "trace", [ref("parameters", "id"), run, hidden]
        ),
        "/sagas/{id}/explanation": _get(
            "explanation", "What happened, in sentences", "explanation", [ref("parameters", "id"), run]
        ),
        "/sagas/{id}/queries/{query}": _get(
            "query",
            "The answer of a saga to a query of its definition",
            "query",
            [ref("parameters", "id"), ref("parameters", "query")],
            _refusals("409", "503"),
        ),
        "/sagas/{id}/signals": _get(
            "signals",
            "The signals that a saga knows, and what waits for them",
            "signals",
            [ref("parameters", "id")],
            _refusals("409"),
        ),
        "/sagas/{id}/graph": _get(
            "run_graph",
            "The steps of the definition that a run is pinned to",
            "graph",
            [ref("parameters", "id")],
            _refusals("503"),
        ),
        "/sagas/{id}/picture": _picture(
            "run_picture",
            "The definition that a run is pinned to as a picture, with the state of each step",
            [ref("parameters", "id"), run, ref("parameters", "width")],
            _refusals("409", "503"),
        ),
    }


def _operating() -> Data:
    id_, key = ref("parameters", "id"), ref("parameters", "request-key")
    asked = {"202": _json("The saga was asked", ref("schemas", "asked"))}
    sent = {"202": _json("The signal was sent, and what became of it", ref("schemas", "sent"))}
    paths: Data = {
        "/sagas/{id}/signals/{signal}": _post(
            "signal",
            "Send a signal, with the body as its payload",
            [id_, ref("parameters", "signal"), key],
            ANY,
            sent,
        ),
        "/sagas/{id}/cancel": _post("cancel", "Stop a saga, and undo what it has done", [id_], _request(), asked),
    }
    paths["/sagas/{id}/migrate"] = _post(
        "migrate",
        "Let a saga go on with the definition of its name that the gateway has now",
        [id_],
        _MIGRATION,
        {"200": _json("What became of it", ref("schemas", "migrated")), **_refusals("503")},
    )
    plan = {"200": _json("With `dry_run`: the plan", ref("schemas", "plan"))}
    taken = {**plan, "202": _json("A new run has begun", ref("schemas", "taken_up")), **_refusals("503")}
    for name, sentence in _TAKING_UP.items():
        answers = asked if name == "terminate" else taken
        body = _request(given=_BACK if name == "redrive" else {}, flags=FLAGS[name])
        paths[f"/sagas/{{id}}/{name}"] = _post(name, sentence, [id_], body, answers)
    runs = list_of(ref("schemas", "kept_run"))
    yes_or_no = {"type": "boolean"}
    numbers = {"stored": {"type": "integer"}, "unreached": {"type": "integer"}, "shared": {"type": "integer"}}
    forgotten = object_of(
        {"id": TEXT, "runs": runs},
        left=runs,
        forgotten=yes_or_no,
        dry_run=yes_or_no,
        shared_with=list_of(TEXT),
        kept_by=list_of(TEXT),
        **numbers,
    )
    gone = {
        "200": _json("They are gone; with `dry_run`, what would be deleted", forgotten),
        "202": _json(
            "The server was asked, and still knows some of them; or payloads stay to which others refer", forgotten
        ),
    }
    paths["/sagas/{id}/forget"] = _post(
        "forget", "Delete all that the server keeps of a saga", [id_], _FORGETTING, gone
    )
    paths["/sagas/{id}/forget"]["post"]["requestBody"]["required"] = True
    for name, verb in VERBS.items():
        is_decision = verb in DECISIONS
        step = _STEP if is_decision else _BACK_TO if verb is Verb.RESET else _CHILD
        given = {key: _GIVEN[key] for key in GIVEN_WITH.get(verb, ())}
        is_dry = ("dry_run",) if verb in DRY else ()
        is_about_one = verb in NEED_A_PATH
        body = _request(step=step, is_about_one=is_about_one, is_decision=is_decision, given=given, flags=is_dry)
        answer = ref("schemas", "operated")
        answer = {"anyOf": [answer, ref("schemas", "reset_plan")]} if is_dry else answer
        done = {"200": _json("Done; with `dry_run`, the plan" if is_dry else "Done", answer), **_refusals("503")}
        paths[f"/sagas/{{id}}/{name}"] = _post(name, SENTENCES[verb], [id_, key], body, done)
    return paths


def _jobs() -> Data:
    id_, key = ref("parameters", "job"), ref("parameters", "request-key")
    begun = {
        "200": _json("Which sagas are meant; none of them is asked", ref("schemas", "job_seen")),
        "202": _json("Begun", ref("schemas", "job_begun")),
    }
    begin = _post("begin_job", "Ask many sagas for the same", [key], JOB_ORDER, begun)
    begin["post"]["requestBody"]["required"] = True
    pages = [ref("parameters", each) for each in ("limit", "page")]
    look = _get("job", "How far a job is", "job", [id_, ref("parameters", "answers")])
    asked = {"202": _json("It asks no further saga", ref("schemas", "asked"))}
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
                        "content": {"text/event-stream": {"schema": TEXT}},
                    },
                    **_refusals("400", "404"),
                },
            }
        },
    }


def _coding() -> Data:
    payloads = object_of({"payloads": list_of(ref("schemas", "payload"))})
    done = {"200": _json("The same payloads, in their order", payloads)} | _refusals("503")
    return {
        f"/codec/{doing}": _post(
            f"{doing}_payloads", f"{doing.capitalize()} payloads, for Temporal's tools", [], payloads, done
        )
        for doing in ("encode", "decode")
    }


def _offering() -> Data:
    name = ref("parameters", "definition")
    return {
        "/definitions": _get("list_definitions", "What may be started or read", "definitions", []),
        "/definitions/{name}": _get("definition", "One definition, with the schema of its input", "definition", [name]),
        "/definitions/{name}/graph": _get("definition_graph", "Its steps, as a tree", "graph", [name]),
        "/definitions/{name}/picture": _picture(
            "definition_picture", "Its steps, as a picture", [name, ref("parameters", "width")], {}
        ),
        "/me": _get("me", "Who asks, and what the token allows", "me", []),
        "/healthz": _get("health", "Whether this process answers", "health", []),
        "/readyz": _get(
            "readiness",
            "Whether sagas can be started",
            "health",
            [],
            {"503": _json("Not now", ref("schemas", "health"))},
        ),
    }


def _get(id_: str, summary: str, schema: str, parameters: list[Data], more: Mapping[str, Any] | None = None) -> Data:
    return _asked(id_, summary, _json("As asked", ref("schemas", schema)), parameters, more or {})


def _picture(id_: str, summary: str, parameters: list[Data], more: Mapping[str, Any]) -> Data:
    drawn = {
        "description": "A picture in SVG, for light and dark pages",
        "content": {"image/svg+xml": {"schema": TEXT}},
    }
    return _asked(id_, summary, drawn, parameters, more)


def _asked(id_: str, summary: str, answer: Data, parameters: list[Data], more: Mapping[str, Any]) -> Data:
    return {
        "get": {
            "operationId": id_,
            "summary": summary,
            "tags": ["read"],
            "parameters": parameters,
            "responses": {"200": answer, **_refusals("400", "404"), **more},
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


def _json(description: str, schema: Data) -> Data:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _problem() -> Data:
    return {"description": "Refused, and why", "content": {MEDIA: {"schema": ref("schemas", "problem")}}}


def _refusals(*statuses: str) -> Data:
    everywhere = ("401", "403", "405", "421", "429", "504")
    return {status: ref("responses", "problem") for status in (*everywhere, *statuses)}


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

_FORGETTING: Data = {
    "type": "object",
    "required": ["why"],
    "properties": {
        "why": {"type": "string", "minLength": 1, "maxLength": 1000, "description": "Kept in the audit log"},
        "by": {"type": "string", "maxLength": 1000, "description": "Only if the gateway needs no token"},
        "dry_run": {"type": "boolean", "description": "Only list what would be deleted"},
        "even_open": {"type": "boolean", "description": "Also if it is open: it is terminated, and undoes nothing"},
    },
    "additionalProperties": False,
}

_TAKING_UP = {
    "recover": "Undo or finish a saga whose run the server ended",
    "redrive": "Go on with a saga that has failed",
    "terminate": "Kill a saga; with `undo`, a new run undoes what it has done",
}
