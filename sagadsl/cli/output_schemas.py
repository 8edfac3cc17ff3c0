"""JSON Schemas of what commands print with ``--json``; `sagadsl schema --of COMMAND` prints them.

Fields may be added in any release, so the schemas are open. The tests close them, and hold real outputs against them:
a field that is added without its place here fails there.
"""

from __future__ import annotations

from collections.abc import Mapping

from sagadsl.cli.output_schemas_of_runs import ATTENTION, OF_RUNS, REPORT, WAITING, maybe
from sagadsl.gateway.schema_forms import ANY, NULLABLE, TEXT, Data, list_of, object_of

BOOL: Data = {"type": "boolean"}
COUNT: Data = {"type": "integer", "minimum": 0}
NUMBER: Data = {"type": "number"}
TEXTS = list_of(TEXT)
MAPPING: Data = {"type": "object"}


ERROR = object_of(
    {"code": TEXT, "message": TEXT, "help": TEXT}, findings=list_of(MAPPING), reasons=list_of(MAPPING), problems=ANY
)
"""Why a command has failed; commands add what they know."""

_POINT = object_of({"line": COUNT, "column": COUNT, "offset": COUNT})
_RANGE = object_of({"start": _POINT, "end": _POINT})
_FINDING = object_of(
    {
        "code": TEXT,
        "severity": {"enum": ["error", "warning", "note"]},
        "message": TEXT,
        "file": NULLABLE,
        "range": maybe(_RANGE),
        "path": TEXT,
        "step": NULLABLE,
        "label": TEXT,
        "related": list_of(object_of({"message": TEXT, "range": _RANGE})),
        "help": TEXTS,
        "notes": TEXTS,
        "fix": maybe(object_of({"replace": TEXT, "safe": BOOL})),
        "url": TEXT,
    }
)
_VALIDATE = object_of(
    {
        "tool": object_of({"name": TEXT, "version": TEXT}),
        "summary": object_of({"files": COUNT, "errors": COUNT, "warnings": COUNT, "notes": COUNT}, elapsed_ms=COUNT),
        "files": TEXTS,
        "findings": list_of(_FINDING),
    }
)
_SECONDS: Data = {"type": ["number", "null"], "description": "Seconds; null is without limit, and `why` says why"}
_TIMES: Data = {"once": _SECONDS, "retried": _SECONDS, "undo": _SECONDS, "why": TEXTS}
_POLICY = object_of(
    {
        "activity": TEXT,
        "timeouts": {"type": "object", "additionalProperties": TEXT},
        "retry": maybe(
            object_of(
                {
                    "maximum_attempts": {"type": ["integer", "string"]},
                    "initial_interval": TEXT,
                    "backoff_coefficient": NUMBER,
                    "maximum_interval": TEXT,
                    "non_retryable_error_types": TEXTS,
                }
            )
        ),
    }
)
_TIMING = object_of(
    {
        "sagas": list_of(
            object_of(
                {
                    "saga": TEXT,
                    **_TIMES,
                    "timeout": _SECONDS,
                    "steps": list_of(
                        object_of(
                            {
                                "step": TEXT,
                                "depth": COUNT,
                                **_TIMES,
                                "call": maybe(_POLICY),
                                "undoing": list_of(_POLICY),
                            }
                        )
                    ),
                }
            )
        )
    }
)
_SIGNED: Data = {"saga": TEXT, "version": TEXT, "digest": TEXT}
_MOST: Data = {"type": ["integer", "null"], "description": "null is without limit, and `why` says why"}
_SIZE = object_of(
    {
        "sizes": list_of(
            object_of(
                {
                    "saga": TEXT,
                    "events": _MOST,
                    "bytes": _MOST,
                    "why": TEXT,
                    "longest_run_events": _MOST,
                    "steps": list_of(
                        object_of(
                            {
                                "step": TEXT,
                                "depth": COUNT,
                                "events": _MOST,
                                "undo_events": _MOST,
                                "bytes": _MOST,
                                "why": TEXT,
                            }
                        )
                    ),
                }
            )
        )
    }
)
_LEVEL: Data = {"enum": ["safe", "some", "breaks"]}
_SIDE = object_of({"file": TEXT, "saga": TEXT, "version": TEXT, "digest": TEXT})
_CHANGES = list_of(object_of({"about": TEXT, "level": _LEVEL, "message": TEXT}, steps=TEXTS, rule=TEXT, line=COUNT))
_COMPARED: Data = {"old": _SIDE, "new": _SIDE, "level": _LEVEL, "changes": _CHANGES}
_DIFF: Data = {
    "oneOf": [
        object_of(_COMPARED),
        object_of({"level": _LEVEL, "sagas": list_of(object_of(_COMPARED)), "removed": TEXTS, "added": TEXTS}),
    ]
}
_NODES = list_of(
    object_of(
        {"id": TEXT, "path": TEXT, "kind": TEXT, "what": TEXT},
        **{"if": TEXT},
        about=TEXTS,
        lanes=list_of(object_of({"label": TEXT, "steps": list_of(MAPPING)})),
        needs=TEXTS,
        pivot=BOOL,
        undone_by=TEXTS,
        on_error=list_of(object_of({"label": TEXT, "then": TEXT, "steps": list_of(MAPPING)})),
    )
)
_GRAPH = object_of(
    {
        "name": TEXT,
        "version": TEXT,
        "steps": _NODES,
        "on_failure": _NODES,
        "on_pause": _NODES,
        "states": {"type": "object", "additionalProperties": object_of({"state": TEXT, "undo": TEXT})},
    }
)
_GRAPH_INJECT = object_of({"ok": BOOL, "pages": list_of(object_of({"page": TEXT, "drawings": COUNT, "changed": BOOL}))})
_CODE = object_of({"code": TEXT, "severity": TEXT, "title": TEXT}, page=TEXT)
_PAGE: Data = {"name": TEXT, "title": TEXT}
_ACTIVITY: Data = {
    "name": TEXT,
    "package": TEXT,
    "description": TEXT,
    "input": maybe(MAPPING),
    "output": maybe(MAPPING),
    "errors": TEXTS,
    "compensated_by": NULLABLE,
    "idempotent": {"type": ["boolean", "null"]},
    "timeouts": {"type": "object", "additionalProperties": TEXT},
}
_BROKEN = object_of({"code": TEXT, "name": TEXT, "message": TEXT}, owners=TEXTS, package=TEXT)
_SPAN = object_of(
    {
        "call": TEXT,
        "kind": TEXT,
        "start": NUMBER,
        "end": NUMBER,
        "result": TEXT,
        "attempt": {"type": ["integer", "null"]},
        "what": TEXT,
    }
)
_SIMULATE = object_of(
    {
        "saga": TEXT,
        "status": TEXT,
        "output": ANY,
        "failure": maybe(MAPPING),
        "warnings": list_of(ANY),
        "report": REPORT,
        "attention": ATTENTION,
        "waiting_for": WAITING,
        "refused": TEXTS,
        "cut": BOOL,
        "timeline": object_of(
            {
                "seconds": NUMBER,
                "spans": list_of(_SPAN),
                "marks": list_of(object_of({"at": NUMBER, "kind": TEXT, "what": TEXT})),
                "lines": list_of(object_of({"at": NUMBER, "call": TEXT, "text": TEXT})),
            }
        ),
    }
)
_EXPLORE = object_of(
    {
        "sagas": list_of(
            object_of(
                {
                    "file": TEXT,
                    "saga": TEXT,
                    "faults": COUNT,
                    "runs": COUNT,
                    "states": COUNT,
                    "merged": COUNT,
                    "not_covered": COUNT,
                    "inputs": list_of(ANY),
                    "outputs": MAPPING,
                    "ends": {"type": "object", "additionalProperties": COUNT},
                    "worst_history_events": COUNT,
                    "longest_seconds": NUMBER,
                    "stays": TEXTS,
                    "never_reached": TEXTS,
                    "table": list_of(object_of({"fault": TEXT, "ends": TEXTS})),
                    "violations": list_of(
                        object_of(
                            {
                                "kind": TEXT,
                                "rule": TEXT,
                                "path": TEXT,
                                "message": TEXT,
                                "faults": COUNT,
                                "status": TEXT,
                                "way": list_of(object_of({"at": NUMBER, "what": TEXT, "fault": BOOL})),
                                "case": MAPPING,
                            }
                        )
                    ),
                }
            )
        )
    }
)
_TEST = object_of(
    {
        "passed": COUNT,
        "failed": COUNT,
        "not_played": COUNT,
        "cases": list_of(
            object_of(
                {
                    "file": TEXT,
                    "name": TEXT,
                    "rules": TEXTS,
                    "passed": BOOL,
                    "misses": list_of(object_of({"what": TEXT, "expected": ANY, "found": ANY})),
                    "unused_mocks": TEXTS,
                    "not_played": NULLABLE,
                    "status": NULLABLE,
                    "virtual_seconds": {"type": ["number", "null"]},
                    "seconds": NUMBER,
                }
            )
        ),
        "coverage": list_of(
            object_of(
                {
                    "saga": TEXT,
                    "possible": COUNT,
                    "shown": COUNT,
                    "steps": list_of(object_of({"path": TEXT, "shown": TEXTS, "not_shown": TEXTS})),
                }
            )
        ),
    }
)
_SCAFFOLD = object_of(
    {
        "folder": TEXT,
        "dry_run": BOOL,
        "files": list_of(object_of({"path": TEXT, "done": {"enum": ["written", "changed", "kept"]}})),
        "advice": TEXTS,
    }
)
_DOCTOR = object_of(
    {
        "ok": BOOL,
        "checks": list_of(
            object_of(
                {"what": TEXT, "ok": BOOL, "needed": BOOL, "found": TEXT, "help": TEXT},
                persistence_store=TEXT,
                visibility_store=TEXT,
            )
        ),
    }
)
_OF_FILES: Mapping[str, Data] = {
    "new project": _SCAFFOLD,
    "new plugin": _SCAFFOLD,
    "new saga": _SCAFFOLD,
    "new suite": _SCAFFOLD,
    "init": _SCAFFOLD,
    "validate": {"oneOf": [_VALIDATE, _TIMING, _SIZE]},
    "diff": _DIFF,
    "graph show": _GRAPH,
    "graph inject": _GRAPH_INJECT,
    "explain": {
        "oneOf": [
            _CODE,
            object_of({"codes": list_of(_CODE)}),
            object_of({"pages": list_of(object_of(_PAGE))}),
            object_of({**_PAGE, "text": TEXT}),
        ]
    },
    "plugins list": object_of({"activities": list_of(object_of(_ACTIVITY)), "problems": list_of(_BROKEN)}),
    "plugins show": object_of({**_ACTIVITY, "examples": list_of(ANY), "step": TEXT}),
    "plugins check": object_of(
        {"package": TEXT, "activities": list_of(object_of({"activity": TEXT, "errors": TEXTS, "warnings": TEXTS}))}
    ),
    "simulate": _SIMULATE,
    "explore": _EXPLORE,
    "test": _TEST,
    "token": object_of({"token": TEXT, "entry": MAPPING}),
    "keygen": object_of({"key": TEXT, "private": TEXT, "public": TEXT}),
    "sign": object_of({"key": TEXT, "signed": list_of(object_of({**_SIGNED, "signatures": TEXT}))}),
    "verify": object_of(
        {
            "definitions": list_of(
                object_of({**_SIGNED, "file": TEXT, "trusted": BOOL, "key": NULLABLE, "problem": NULLABLE})
            )
        }
    ),
    "doctor": _DOCTOR,
}
OUTPUTS: Mapping[str, Data] = {**_OF_FILES, **OF_RUNS}
"""The document of each command that has ``--json``, without ``schema_version``."""


def schema_of(command: str) -> Data:
    """Return the schema of what *command* (a key of ``OUTPUTS``) prints: its document, or why it has failed."""
    failed: Data = {"required": ["error"], "properties": {"error": {"type": "object", "required": ["code"]}}}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"sagadsl {command} --json",
        "type": "object",
        "required": ["schema_version"],
        "properties": {"schema_version": {"const": 1}},
        "if": failed,
        "then": {"properties": {"error": ERROR}},
        "else": OUTPUTS[command],
    }
