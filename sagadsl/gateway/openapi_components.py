"""What the OpenAPI description of the gateway refers to by name: the schemas of answers, and parameters."""

from __future__ import annotations

from sagadsl.gateway.jobs.described import JOB_SCHEMAS
from sagadsl.gateway.pictures import NARROWEST, WIDEST
from sagadsl.gateway.schema_forms import ANY, NULLABLE, TEXT, Data, list_of, object_of
from sagadsl.status.parts import MOST
from sagadsl.temporal.read.listing import STATUSES

_BASE64: Data = {"type": "string", "contentEncoding": "base64", "pattern": "^([A-Za-z0-9+/]{4})*$"}


def ref(kind: str, name: str) -> Data:
    """Return a reference to a component: of the *kind* ``schemas``, ``parameters`` or ``responses``."""
    return {"$ref": f"#/components/{kind}/{name}"}


def _parameter(name: str, where: str, schema: Data, description: str) -> Data:
    return {"name": name, "in": where, "required": where == "path", "schema": schema, "description": description}


_VISIBLE: Data = {"type": "string", "pattern": r"^[^\x00-\x1f\x7f]*$"}
_STATUS = {"type": "string", "enum": list(STATUSES)}
PARAMETERS: Data = {
    "id": _parameter("id", "path", TEXT, "Id of the saga; a `/` in it, as those of child sagas have, is written `%2F`"),
    "job": _parameter("id", "path", TEXT, "Id of the job"),
    "answers": _parameter("answers", "query", {"type": "boolean"}, "Every answer, not only the first problems"),
    "signal": _parameter("signal", "path", TEXT, "Name of the signal"),
    "query": _parameter("query", "path", TEXT, "Name of the query"),
    "definition": _parameter("name", "path", TEXT, "Name of the definition"),
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
    "secrets": _parameter(
        "secrets",
        "query",
        {"type": "string", "enum": ["shown"]},
        "Show also values that schemas mark by `x-secret`; takes the right to decode payloads",
    ),
    "width": _parameter(
        "width",
        "query",
        {"type": "integer", "minimum": NARROWEST, "maximum": WIDEST},
        "Where the picture is shown has this width, in pixels: a long saga gets as many columns as fit",
    ),
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

_PLACE = {
    **TEXT,
    "description": "Where an activity raised it without its author meaning to: file, line, function",
}
_ERROR = {"type": ["object", "null"], "properties": {"type": TEXT, "message": TEXT, "place": _PLACE}}
_SAGA = object_of(
    {
        "id": TEXT,
        "run_id": TEXT,
        "name": TEXT,
        "version": TEXT,
        "status": TEXT,
        "started_at": TEXT,
        "closed_at": NULLABLE,
    },
    takes_up=TEXT,
    taken_up_by=TEXT,
)
_NODES = list_of({"type": "object", "required": ["id", "path", "kind", "what"]})
_PLAN = object_of(
    {
        "id": TEXT,
        "verb": TEXT,
        "run_id": TEXT,
        "status": TEXT,
        "how": {"type": "string", "enum": ["undo", "forward", "anew"]},
        "calls": list_of(object_of({"call": TEXT, "name": TEXT, "what": TEXT})),
        "then": list_of(TEXT),
        "kept": list_of(TEXT),
        "undone": list_of(TEXT),
        "unknown": list_of(TEXT),
        "out_of_order": list_of(TEXT),
        "ends_as": NULLABLE,
        "waits_for": list_of(TEXT),
        "not_before": NULLABLE,
    },
    to=TEXT,
    lines=list_of(TEXT),
)

SCHEMAS: Data = {
    "problem": object_of(
        {
            "type": TEXT,
            "title": TEXT,
            "status": {"type": "integer"},
            "detail": TEXT,
            "code": {"type": "string", "pattern": "^SD"},
        },
        help=TEXT,
        errors=list_of(object_of({"path": TEXT, "reason": TEXT})),
    ),
    "started": object_of(
        {"id": TEXT, "run_id": TEXT, "name": TEXT, "repeated": {"type": "boolean"}, "links": {"type": "object"}}
    ),
    "standing": object_of({"id": TEXT, "status": TEXT, "output": ANY}),
    "query": object_of({"id": TEXT, "query": TEXT, "answer": ANY}),
    "answered": object_of({"id": TEXT, "answer": ANY, "run_id": TEXT, "name": TEXT}),
    "ended": object_of(
        {"id": TEXT, "status": TEXT, "output": ANY, "error": _ERROR, "report": {"type": ["object", "null"]}},
        warnings=list_of(object_of({"type": TEXT, "message": TEXT})),
    ),
    "status": object_of(
        {
            "id": TEXT,
            "name": TEXT,
            "status": TEXT,
            "revision": TEXT,
            "is_open": {"type": "boolean"},
            "has_worker": {"type": "boolean"},
            "trouble": list_of(TEXT),
            "failure": _ERROR,
            "lines": list_of(
                object_of(
                    {
                        "key": TEXT,
                        "box": TEXT,
                        "undoes": {"type": "boolean"},
                        "sign": TEXT,
                        "state": TEXT,
                        "path": TEXT,
                        "what": TEXT,
                        "seconds": {"type": ["number", "null"]},
                    }
                )
            ),
            "steps": list_of(object_of({"path": TEXT, "status": TEXT})),
            "told": list_of(object_of({"box": TEXT, "state": TEXT, "text": TEXT})),
            "children": list_of(
                object_of(
                    {"path": TEXT, "id": TEXT, "name": TEXT, "status": TEXT, "paused": {"type": "boolean"}},
                    attention=list_of(
                        object_of(
                            {
                                "path": TEXT,
                                "target": TEXT,
                                "undoes": {"type": "boolean"},
                                "type": TEXT,
                                "message": TEXT,
                            }
                        )
                    ),
                    waiting_for={"type": "object"},
                )
            ),
            "attempts": list_of(
                object_of(
                    {"call": TEXT, "attempt": {"type": "integer"}, "failure": TEXT, "next_at": NULLABLE},
                    paused={"type": "boolean"},
                    unserved=TEXT,
                )
            ),
        },
        part=object_of({"first": {"type": "integer"}, "of": {"type": "integer"}, "next": NULLABLE}),
    ),
    "page": object_of({"sagas": list_of(_SAGA), "next_page": NULLABLE, "as_of": TEXT, "untold": {"type": "integer"}}),
    "incidents": object_of(
        {
            "groups": list_of(
                object_of(
                    {
                        "name": TEXT,
                        "step": TEXT,
                        "kind": TEXT,
                        "type": TEXT,
                        "count": {"type": "integer"},
                        "since": NULLABLE,
                        "incidents": list_of(
                            object_of(
                                {
                                    "id": TEXT,
                                    "name": TEXT,
                                    "path": TEXT,
                                    "undoes": {"type": "boolean"},
                                    "kind": TEXT,
                                    "type": TEXT,
                                    "message": TEXT,
                                    "since": NULLABLE,
                                    "occurrence": {"type": "integer"},
                                }
                            )
                        ),
                    }
                )
            ),
            "as_of": TEXT,
            "unanswered": {"type": "integer"},
            "has_more": {"type": "boolean"},
        }
    ),
    "counts": object_of({"counts": {"type": "object", "additionalProperties": {"type": "integer"}}, "as_of": TEXT}),
    "trace": object_of(
        {
            "id": TEXT,
            "name": TEXT,
            "input": ANY,
            "output": ANY,
            "calls": list_of(object_of({"path": TEXT, "undoes": {"type": "boolean"}, "name": TEXT, "status": TEXT})),
            "outside": list_of({"type": "object"}),
            "lacks_beginning": {"type": "boolean"},
        }
    ),
    "explanation": object_of({"id": TEXT, "sentences": list_of(TEXT)}),
    "graph": object_of({"name": TEXT, "version": TEXT, "steps": _NODES, "on_failure": _NODES, "on_pause": _NODES}),
    "signals": object_of(
        {
            "id": TEXT,
            "signals": list_of(
                object_of(
                    {
                        "signal": TEXT,
                        "payload": {"type": ["object", "null"]},
                        "waits": list_of(
                            object_of(
                                {
                                    "path": TEXT,
                                    "id": TEXT,
                                    "since": NULLABLE,
                                    "until": NULLABLE,
                                    "counts_from": {"type": "string", "enum": ["now", "start"]},
                                }
                            )
                        ),
                        "kept": {"type": "integer"},
                        "kept_from": list_of(TEXT),
                    }
                )
            ),
        }
    ),
    "asked": object_of({"id": TEXT, "requested": TEXT}, run_id=NULLABLE),
    "kept_run": object_of(
        {"id": TEXT, "run_id": TEXT, "name": TEXT, "is_open": {"type": "boolean"}}, child={"type": "boolean"}
    ),
    "plan": _PLAN,
    "taken_up": object_of({"id": TEXT, "verb": TEXT, "run_id": TEXT, "plan": _PLAN}),
    "sent": object_of(
        {
            "id": TEXT,
            "signal": TEXT,
            "request": TEXT,
            "state": {"type": "string", "enum": ["taken", "kept", "sent"]},
            "step": NULLABLE,
            "checked": {"type": "boolean"},
            "confirmed": {"type": "boolean"},
            "repeated": {"type": "boolean"},
        },
        reply=ANY,
    ),
    "migrated": object_of(
        {
            "id": TEXT,
            "outcome": {"type": "string", "enum": ["migrated", "waits", "already", "can"]},
            "digest": TEXT,
            "waits_for": list_of(TEXT),
            "notes": list_of(TEXT),
        }
    ),
    "reset_plan": object_of(
        {"id": TEXT, "to": TEXT, "why": TEXT, "stops": list_of(TEXT), "undo": list_of(TEXT), "again": list_of(TEXT)},
        lines=list_of(TEXT),
    ),
    "operated": object_of(
        {"id": TEXT, "verb": TEXT, "step": NULLABLE, "status": TEXT},
        children=list_of(object_of({"path": TEXT, "id": TEXT, "status": TEXT, "problem": NULLABLE})),
    ),
    "definitions": object_of(
        {
            "definitions": list_of(
                object_of({"name": TEXT, "version": TEXT, "description": TEXT, "may_start": {"type": "boolean"}})
            )
        }
    ),
    "definition": object_of(
        {"name": TEXT, "version": TEXT, "input": {"type": ["object", "boolean"]}, "definition": {"type": "object"}}
    ),
    **JOB_SCHEMAS,
    "me": object_of({"name": TEXT, "is_known": {"type": "boolean"}, "rights": {"type": "object"}}),
    "health": object_of({"status": TEXT}),
    "payload": {
        "type": "object",
        "properties": {"metadata": {"type": "object", "additionalProperties": _BASE64}, "data": _BASE64},
    },
}
