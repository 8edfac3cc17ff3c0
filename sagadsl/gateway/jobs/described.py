"""The bodies and answers of jobs, as JSON Schemas for the description of the gateway."""

from __future__ import annotations

from collections.abc import Iterator

from sagadsl.gateway.jobs.routes import LONGEST_TEXT, MOST
from sagadsl.gateway.jobs.verbs import JOB_VERBS, JobVerb
from sagadsl.gateway.schema_forms import NULLABLE, TEXT, Data, list_of, object_of

_COUNT: Data = {"type": "integer", "minimum": 0}
_YES_OR_NO: Data = {"type": "boolean"}


def _said(verb: JobVerb) -> Data:
    """Return the schema of `with`."""
    known: Data = {key: _SAID.get(key, {}) for key in verb.keys}
    about = object_of({key: known[key] for key in verb.needs}, why=_TEXT_LIMITED, by=_BY, **known)
    about |= {"not": {"required": list(verb.never_both)}} if verb.never_both else {}
    return about | {"additionalProperties": False, "description": "What the body of the verb takes, without the step"}


def _orders() -> Iterator[Data]:
    """Yield what a job may be: for verbs that take the same, with sagas that are named, or that are chosen."""
    alike: dict[tuple[tuple[str, ...], ...], list[str]] = {}
    for word, verb in JOB_VERBS.items():
        alike.setdefault((verb.keys, verb.needs, verb.statuses), []).append(word)
    for words in alike.values():
        verb = JOB_VERBS[words[0]]
        always = {"verb": {"type": "string", "enum": words}, "with": _said(verb), **_HOW}
        required = ["verb", *(["with"] if verb.needs else [])]
        whole = {"type": "object", "additionalProperties": False}
        yield whole | {"required": [*required, "sagas"], "properties": {**always, "sagas": _NAMED}}
        choice = _CHOICE | {"status": {"type": "string", "enum": list(verb.statuses), "description": _STANDING}}
        one_of_them = [{"required": [key]} for key in choice if key != "step"]
        yield whole | {"required": required, "properties": {**always, **choice}, "anyOf": one_of_them}


_TEXT_LIMITED: Data = {"type": "string", "maxLength": LONGEST_TEXT}
_BY = _TEXT_LIMITED | {"description": "Only if the gateway needs no token"}
_LINE = _TEXT_LIMITED | {"minLength": 1, "pattern": r"^[^\x00-\x1f\x7f]+$"}
_STANDING = "All sagas that stand so"
_SAID: Data = {
    "signal": _LINE | {"description": "Name of the signal"},
    "new_key": _YES_OR_NO,
    "nothing_to_undo": _YES_OR_NO,
    "to": _LINE | {"description": "The step that is done once more, and all that follows it"},
    "digest": _TEXT_LIMITED | {"description": "Refuse if the gateway has another definition"},
    "forward": _YES_OR_NO,
    "undo": _YES_OR_NO,
    "from": _TEXT_LIMITED | {"description": "The step to which each saga goes back"},
}
_HOW: Data = {
    "rate": {"type": "number", "minimum": 0.01, "maximum": 1000, "description": "How many are asked in a second"},
    "dry_run": _YES_OR_NO | {"description": "Only say which sagas are meant"},
}
_NAMED: Data = {
    "type": "array",
    "minItems": 1,
    "description": f"These sagas, up to {MOST:,}",
    "items": {
        **object_of({"id": _LINE}, step=_TEXT_LIMITED, occurrence={"type": "integer", "minimum": 1}),
        "additionalProperties": False,
    },
}
_CHOICE: Data = {
    "name": _LINE | {"description": "All sagas of this definition; `x*` is every name that begins with `x`"},
    "query": _LINE | {"description": "All sagas that meet Temporal's list filter"},
    "error": _LINE | {"description": "All that wait because of this error"},
    "step": _LINE | {"description": "Only this step of them"},
}
_ANSWER = object_of(
    {
        "key": TEXT,
        "id": TEXT,
        "name": TEXT,
        "path": TEXT,
        "outcome": {"type": "string", "enum": ["done", "refused", "unknown"]},
        "status": NULLABLE,
        "code": NULLABLE,
        "message": NULLABLE,
    }
)
_KIND = object_of({"name": TEXT, "step": NULLABLE, "reason": NULLABLE, "count": _COUNT})
_SEEN: Data = {
    "verb": TEXT,
    "count": _COUNT,
    "kinds": list_of(_KIND),
    "examples": list_of(object_of({"id": TEXT, "name": TEXT, "step": NULLABLE})),
    "unanswered": _COUNT,
    "has_more": _YES_OR_NO,
}

_HEAD: Data = {
    "id": TEXT,
    "verb": TEXT,
    "who": TEXT,
    "state": {"type": "string", "enum": ["running", "stopping", "done", "cancelled", "failed"]},
    "asked": _COUNT,
    "started_at": TEXT,
    "ended_at": NULLABLE,
    "links": {"type": "object"},
}

JOB_ORDER: Data = {"oneOf": list(_orders())}
"""What `POST /jobs` takes."""

JOB_SCHEMAS: Data = {
    "job_seen": object_of(_SEEN),
    "job_begun": object_of(
        {"id": TEXT, "verb": TEXT, "count": _COUNT, "repeated": _YES_OR_NO, "links": {"type": "object"}}
    ),
    "jobs": object_of({"jobs": list_of(object_of(_HEAD)), "next_page": NULLABLE}),
    "job": object_of(
        {
            **_HEAD,
            "done": _COUNT,
            "refused": _COUNT,
            "unknown": _COUNT,
            "left": _COUNT,
            "statuses": {"type": "object", "additionalProperties": _COUNT},
            "problems": list_of(_ANSWER),
        },
        answers=list_of(_ANSWER),
    ),
}
"""What is answered."""
