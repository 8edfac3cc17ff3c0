"""JSON Schemas of what the commands print that look at sagas on a server, or change them."""

from __future__ import annotations

from collections.abc import Mapping

from sagadsl.engine.verbs import VERBS
from sagadsl.gateway.schema_forms import ANY, NULLABLE, TEXT, Data, list_of, object_of

_BOOL: Data = {"type": "boolean"}
_COUNT: Data = {"type": "integer", "minimum": 0}
_TEXTS = list_of(TEXT)
_COUNTED: Data = {"type": ["integer", "null"]}


def maybe(schema: Data) -> Data:
    """Return the schema of a value that may be null."""
    return {"oneOf": [schema, {"type": "null"}]}


_CAUSE = object_of({"type": TEXT, "message": TEXT})
_ERROR = object_of({"type": TEXT, "message": TEXT}, step=TEXT, place=TEXT, causes=list_of(_CAUSE), result=ANY)
_WARNINGS = list_of(object_of({"type": TEXT, "message": TEXT}))
REPORT = object_of(
    {
        "schema_version": _COUNT,
        "status": TEXT,
        "saga": TEXT,
        "id": TEXT,
        "failed_step": TEXT,
        "failure": maybe(_ERROR),
        "other_errors": list_of(_ERROR),
        "undone": _TEXTS,
        "not_undone": list_of(
            object_of(
                {"path": TEXT, "action": _COUNT, "skipped": _BOOL, "type": TEXT, "message": TEXT, "step": TEXT},
                place=TEXT,
                causes=list_of(_CAUSE),
            )
        ),
        "not_attempted": _TEXTS,
        "why_not": TEXT,
    },
    version=TEXT,
    goes_on=list_of(object_of({"path": TEXT, "id": TEXT})),
    begun=_BOOL,
)
"""What a saga that has not completed leaves: what was undone, and what was not."""

_SENDER = object_of({"at": TEXT, "by": TEXT, "why": TEXT})
ATTENTION = list_of(
    object_of(
        {"path": TEXT, "occurrence": _COUNT, "type": TEXT, "message": TEXT, "step": TEXT},
        since=TEXT,
        until=TEXT,
        place=TEXT,
        causes=list_of(_CAUSE),
    )
)
WAITING: Data = {"type": "object", "additionalProperties": _TEXTS}
_CHILDREN = list_of(
    object_of(
        {"path": TEXT, "id": TEXT, "name": TEXT, "status": TEXT, "paused": _BOOL},
        attention=ATTENTION,
        waiting_for=WAITING,
        held=_SENDER,
    )
)
_UNDO = object_of(
    {"status": TEXT, "attempts": _COUNTED, "started_at": NULLABLE, "ended_at": NULLABLE, "errors": list_of(_ERROR)},
    due_at=TEXT,
)
_STEP = object_of(
    {"path": TEXT, "status": TEXT},
    step=TEXT,
    kind=TEXT,
    depth=_COUNT,
    activity=TEXT,
    saga=TEXT,
    signal=TEXT,
    attempts=_COUNTED,
    started_at=NULLABLE,
    ended_at=NULLABLE,
    due_at=NULLABLE,
    outcome=TEXT,
    error=maybe(_ERROR),
    compensation=_UNDO,
    sender=_SENDER,
)
_NOTICE = object_of(
    {"call": TEXT, "activity": TEXT, "status": TEXT, "attempts": _COUNTED, "started_at": TEXT, "ended_at": NULLABLE},
    step=TEXT,
    path=TEXT,
    occurrence=_COUNT,
    error=maybe(_ERROR),
)
_KNOWN_TO_ALL: Data = {
    "id": TEXT,
    "run_id": TEXT,
    "name": TEXT,
    "status": TEXT,
    "failure": maybe(_ERROR),
    "steps": list_of(_STEP),
    "children": _CHILDREN,
    "attempts": list_of(
        object_of(
            {"call": TEXT, "attempt": _COUNT, "failure": TEXT, "next_at": NULLABLE, "paused": _BOOL},
            place=TEXT,
            unserved=TEXT,
        )
    ),
}
_TOLD_BY_WORKERS: Data = {
    "version": TEXT,
    "digest": TEXT,
    "started_at": TEXT,
    "changed_at": TEXT,
    "paused": _BOOL,
    "pivot_passed": _BOOL,
    "timed_out": _BOOL,
    "timeout_at": NULLABLE,
    "other_errors": list_of(_ERROR),
    "attention": ATTENTION,
    "waiting_for": WAITING,
    "kept_signals": {"type": "object", "additionalProperties": _COUNT},
    "actions": list_of(object_of({"at": TEXT, "verb": TEXT, "path": TEXT, "by": TEXT, "why": TEXT}, gave=TEXT)),
    "answer": ANY,
    "kept_senders": ANY,
    "refused_signals": list_of({"type": "object"}),
    "notices": list_of(_NOTICE),
    "migrating_to": ANY,
    "returning_to": ANY,
    "migrations": list_of(
        object_of({"at": TEXT, "from_digest": TEXT, "from_version": TEXT, "digest": TEXT, "version": TEXT})
    ),
    "warnings": _WARNINGS,
    "left_out": ANY,
    "part": {"type": "object"},
    "source": {"const": "history"},
    "close_status": TEXT,
    "closed_at": TEXT,
    "task_queue": TEXT,
    "held": _SENDER,
    "workers": object_of({}, deployment=TEXT, build_id=TEXT, versioning=TEXT),
    "trouble": ANY,
}
_STATUS = object_of(_KNOWN_TO_ALL, **_TOLD_BY_WORKERS)
_CALL = object_of(
    {
        "path": TEXT,
        "undoes": _BOOL,
        "name": TEXT,
        "status": TEXT,
        "started_at": TEXT,
        "ended_at": NULLABLE,
        "attempts": _COUNTED,
        "input": ANY,
        "output": ANY,
        "error": maybe(_ERROR),
    }
)
_TRACE = object_of(
    {
        **_KNOWN_TO_ALL,
        "input": ANY,
        "output": ANY,
        "calls": list_of(_CALL),
        "outside": list_of(object_of({"at": TEXT, "what": TEXT, "name": TEXT, "data": ANY}, sender=TEXT, reply=ANY)),
        "lacks_beginning": _BOOL,
    },
    **_TOLD_BY_WORKERS,
    cloud_actions={"type": "object", "additionalProperties": _COUNT},
)
_ENDED: Data = {"id": TEXT, "status": TEXT, "output": ANY, "error": maybe(_ERROR), "report": maybe(REPORT)}
_RESULT = object_of(
    {"id": TEXT, "status": TEXT, "output": ANY},
    error=maybe(_ERROR),
    report=maybe(REPORT),
    warnings=_WARNINGS,
    attention=ATTENTION,
    children=_CHILDREN,
)
_RUN: Data = {
    "anyOf": [
        object_of(
            {**_ENDED, "run_id": TEXT, "name": TEXT, "steps": list_of(_STEP)},
            warnings=_WARNINGS,
            attention=ATTENTION,
            children=_CHILDREN,
        ),
        object_of({"id": TEXT, "run_id": TEXT, "name": TEXT, "task_queue": TEXT}),
        object_of(
            {"id": TEXT, "run_id": TEXT, "name": TEXT, "steps": list_of(_STEP)},
            status=TEXT,
            output=ANY,
            attention=ATTENTION,
            children=_CHILDREN,
        ),
        object_of({"id": TEXT, "answer": ANY}, run_id=TEXT, name=TEXT),
    ]
}
_PLAN = object_of(
    {
        "id": TEXT,
        "verb": TEXT,
        "run_id": TEXT,
        "status": TEXT,
        "how": {"enum": ["undo", "forward", "anew"]},
        "calls": list_of(object_of({"call": TEXT, "name": TEXT, "what": TEXT})),
        "then": _TEXTS,
        "kept": _TEXTS,
        "undone": _TEXTS,
        "unknown": _TEXTS,
        "out_of_order": _TEXTS,
        "ends_as": NULLABLE,
        "waits_for": _TEXTS,
        "not_before": NULLABLE,
    },
    to=TEXT,
    stuck=TEXT,
)
_MANY = object_of(
    {
        "command": TEXT,
        "asked": _COUNT,
        "done": _COUNT,
        "refused": _COUNT,
        "unknown": _COUNT,
        "statuses": {"type": "object", "additionalProperties": _COUNT},
        "problems": list_of(
            object_of(
                {
                    "key": TEXT,
                    "id": TEXT,
                    "name": TEXT,
                    "path": TEXT,
                    "outcome": TEXT,
                    "status": NULLABLE,
                    "code": NULLABLE,
                    "message": NULLABLE,
                }
            )
        ),
    }
)
"""What a command says that was given a choice of sagas."""

_ASKED = object_of(
    {"id": TEXT, "verb": TEXT, "step": NULLABLE, "status": TEXT},
    children=list_of(object_of({"path": TEXT, "id": TEXT, "status": TEXT, "problem": NULLABLE})),
)
_TAKEN_UP = object_of({"id": TEXT, "run_id": TEXT, "verb": TEXT, "plan": _PLAN})
_RESET = object_of({"id": TEXT, "to": TEXT, "why": TEXT, "stops": _TEXTS, "undo": _TEXTS, "again": _TEXTS})
_SENT = object_of(
    {
        "id": TEXT,
        "signal": TEXT,
        "request": TEXT,
        "state": {"enum": ["taken", "kept", "sent"]},
        "step": NULLABLE,
        "checked": _BOOL,
        "confirmed": _BOOL,
        "repeated": _BOOL,
    },
    reply=ANY,
)
_AWAITED = object_of(
    {
        "signal": TEXT,
        "payload": maybe({"type": "object"}),
        "waits": list_of(
            object_of({"path": TEXT, "id": TEXT, "since": NULLABLE, "until": NULLABLE, "counts_from": TEXT})
        ),
        "kept": _COUNT,
        "kept_from": _TEXTS,
    }
)
_INCIDENT = object_of(
    {
        "id": TEXT,
        "name": TEXT,
        "path": TEXT,
        "undoes": _BOOL,
        "kind": TEXT,
        "type": TEXT,
        "message": TEXT,
        "since": NULLABLE,
        "occurrence": _COUNT,
    }
)
_GROUP = object_of(
    {
        "name": TEXT,
        "step": TEXT,
        "kind": TEXT,
        "type": TEXT,
        "count": _COUNT,
        "since": NULLABLE,
        "incidents": list_of(_INCIDENT),
    }
)
_LISTED = object_of(
    {
        "id": TEXT,
        "run_id": TEXT,
        "name": TEXT,
        "version": TEXT,
        "status": TEXT,
        "started_at": TEXT,
        "closed_at": NULLABLE,
    },
    warnings=ANY,
    takes_up=TEXT,
    taken_up_by=TEXT,
)
_REPLAYED = object_of(
    {"id": TEXT, "run_id": TEXT, "name": TEXT, "ok": _BOOL, "open": _BOOL, "events": _COUNT},
    version=TEXT,
    digest=TEXT,
    problem=TEXT,
    event=_COUNTED,
    recorded=_TEXTS,
)
_SCHEDULE = object_of(
    {"id": TEXT, "saga": TEXT, "paused": _BOOL, "note": TEXT, "next": NULLABLE, "last": NULLABLE},
)
_APPLIED = object_of(
    {
        "id": TEXT,
        "saga": TEXT,
        "outcome": TEXT,
        "changes": list_of(object_of({"what": TEXT, "before": TEXT, "after": TEXT})),
    }
)
_SCHEDULE_ASKED = object_of({"id": TEXT, "outcome": TEXT})
_MIGRATED = object_of({"id": TEXT, "outcome": TEXT, "digest": TEXT, "waits_for": _TEXTS, "notes": _TEXTS})
_TERMINATED = object_of({"id": TEXT, "status": TEXT}, run_id=TEXT)
_KEPT = list_of(object_of({"id": TEXT, "run_id": TEXT, "name": TEXT, "is_open": _BOOL}, child=_BOOL))
_FORGOTTEN: Data = {
    "anyOf": [
        object_of({"id": TEXT, "runs": _KEPT, "dry_run": _BOOL}),
        object_of(
            {
                "id": TEXT,
                "runs": _KEPT,
                "left": _KEPT,
                "forgotten": _BOOL,
                "stored": _COUNT,
                "unreached": _COUNT,
                "shared": _COUNT,
                "shared_with": _TEXTS,
                "kept_by": _TEXTS,
                "why": TEXT,
            }
        ),
    ]
}


def _or_many(*one: Data) -> Data:
    return {"anyOf": [*one, _MANY]}


OF_RUNS: Mapping[str, Data] = {
    "run": _RUN,
    "schedule apply": object_of({"dry_run": _BOOL, "schedules": list_of(_APPLIED)}),
    "schedule list": object_of({"schedules": list_of(_SCHEDULE)}),
    **{f"schedule {verb}": _SCHEDULE_ASKED for verb in ("pause", "resume", "trigger", "delete")},
    "list": object_of({"as_of": TEXT, "sagas": list_of(_LISTED)}),
    "incidents": object_of(
        {
            "as_of": TEXT,
            "groups": list_of(_GROUP),
            "unanswered": _COUNT,
            "has_more": _BOOL,
            "killed": {"type": "object"},
        }
    ),
    "status": _STATUS,
    "trace": _TRACE,
    "explain-run": object_of({"id": TEXT, "status": TEXT, "sentences": _TEXTS}),
    "result": _RESULT,
    "query": object_of({"id": TEXT, "query": TEXT, "answer": ANY}),
    "signal": _or_many(_SENT, object_of({"id": TEXT, "signals": list_of(_AWAITED)})),
    "cancel": _or_many(object_of({"id": TEXT, "requested": TEXT, "held": _BOOL})),
    "terminate": _or_many(_TERMINATED, _TAKEN_UP),
    "history export": object_of(
        {"folder": TEXT, "histories": list_of(object_of({"id": TEXT, "run_id": TEXT, "file": TEXT}))}
    ),
    "replay": object_of(
        {
            "replayed": _COUNT,
            "same": _COUNT,
            "different": _COUNT,
            "missing_activities": {"type": "object"},
            "broken": list_of(object_of({"code": TEXT, "message": TEXT, "help": TEXT, "activities": _TEXTS})),
            "runs": list_of(_REPLAYED),
        }
    ),
    "forget": _FORGOTTEN,
    "migrate": _or_many(_MIGRATED),
    "recover": _or_many(_TAKEN_UP, _PLAN),
    "redrive": _or_many(_TAKEN_UP, _PLAN),
    **{verb: _or_many(_ASKED) for verb in VERBS if verb != "reset"},
    "reset": _or_many(_ASKED, _RESET),
}
