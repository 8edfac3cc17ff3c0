"""The tools: what each takes, and the command that it is. Those that only look at files or sagas."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sagadsl.agents import pages
from sagadsl.agents.words import ToolCall, Words, written
from sagadsl.immutable import Immutable, field

Data = dict[str, Any]

TEXT: Data = {"type": "string", "minLength": 1}
ANY: Data = {}


class Tool(Immutable):
    """One tool.

    Attributes:
        about: For the model that chooses it.
        takes: Its arguments: a JSON Schema for each.
        needs: The arguments that have to be there.
        words: What makes a command of them; a text is the answer itself.
        connects: The command asks a server.
        operates: It changes a saga, so it has to be allowed.
        destroys: What it does cannot be taken back.
        as_json: The command writes a JSON document, for which it is asked.
    """

    name: str
    about: str
    takes: Mapping[str, Data]
    words: Callable[[ToolCall], Words | str]
    needs: tuple[str, ...] = ()
    connects: bool = False
    operates: bool = False
    destroys: bool = False
    as_json: bool = field(default=True)

    @property
    def schema(self) -> Data:
        """The JSON Schema of its arguments."""
        return {
            "type": "object",
            "properties": dict(self.takes),
            "required": list(self.needs),
            "additionalProperties": False,
        }


def text(about: str) -> Data:
    """Return the schema of a text that is not empty."""
    return {**TEXT, "description": about}


def count(about: str, least: int, most: int) -> Data:
    """Return the schema of a number in bounds."""
    return {"type": "integer", "minimum": least, "maximum": most, "description": about}


def flag(about: str) -> Data:
    """Return the schema of a yes or no."""
    return {"type": "boolean", "description": about}


def any_of(about: str) -> Data:
    """Return the schema of any JSON value."""
    return {"description": about}


def texts(about: str) -> Data:
    """Return the schema of a list of texts."""
    return {"type": "array", "items": TEXT, "maxItems": 50, "description": about}


def by_name(about: str) -> Data:
    """Return the schema of a mapping with any values."""
    return {"type": "object", "maxProperties": 50, "propertyNames": {"pattern": "^[^=]+$"}, "description": about}


_FILE = text("File of a definition in the folder, such as `order.saga.yaml`; `FILE#NAME` is one saga of several")
_PATHS = texts("Files or folders within the folder; all of it if left out")
_ID = text("Id of the saga")
_RUN = text("Run id of an earlier run; the newest if left out")
_INPUT = any_of("Input of the saga, as JSON")
_MOMENT = text("After a time such as `5s`, or the name of a call or step that begins")


def _validate(asked: ToolCall) -> Words:
    options = [*asked.options("strict"), *asked.plugins]
    if asked.has("text"):
        asked.folder.look_beside()
        return Words(
            ("validate", *options, "--stdin-filename=typed.saga.yaml", "--", "-"), str(asked.arguments["text"])
        )
    return Words(("validate", *options, "--", *asked.paths("paths")))


def _simulate(asked: ToolCall) -> Words:
    signals = [
        f"--signal={each['name']}{'=' + written(each['payload']) if 'payload' in each else ''}@{each['at']}"
        for each in asked.arguments.get("signals") or ()
    ]
    options = asked.options("fail", "lose", "cancel_at", "timeout_at", "crash_at", "seed", "now", "until")
    return Words(
        (
            *("simulate", *asked.json("input"), *asked.named("--mock", "mocks"), *options, *signals, *asked.plugins),
            *("--", asked.file("file")),
        )
    )


def _explore(asked: ToolCall) -> Words:
    budget = asked.arguments.get("budget", 20)
    options = asked.options("faults", "pauses", "kills", "resets")
    return Words(
        ("explore", f"--budget={budget}", *asked.json("input"), *options, *asked.plugins, "--", asked.file("file"))
    )


def _graph(asked: ToolCall) -> Words:
    return Words(("graph", "show", "--format=mermaid", "--", asked.file("file")))


def _plugins(asked: ToolCall) -> Words:
    modules = [each for each in asked.plugins if each.startswith("--module")]
    if asked.has("name"):
        return Words(("plugins", "show", *modules, "--", str(asked.arguments["name"])))
    return Words(("plugins", "list", *modules))


def _listed(asked: ToolCall) -> Words:
    return Words(("list", *asked.options("name", "status", "where", "query", "limit")))


OF_FILES = (
    Tool(
        "guide",
        "How definitions are written: read `authoring` before you write one. `language`, `expressions` and `suites` "
        "are the references; `gallery` lists real processes by pattern, `gallery/NAME` is one.",
        {"page": {**TEXT, "description": "authoring, language, expressions, suites, gallery or gallery/NAME"}},
        lambda asked: pages.text(str(asked.arguments.get("page", pages.FIRST))),
    ),
    Tool(
        "schema",
        "The JSON Schema of definitions (or of suites), part by part: without `part` the keys of the top level and the "
        "names of the parts, such as `activity_step`.",
        {"of": {"enum": ["saga", "suite"]}, "part": text("Name of a part")},
        lambda asked: pages.schema(str(asked.arguments.get("of", "saga")), asked.arguments.get("part")),
    ),
    Tool(
        "validate",
        "Find every mistake of definitions before anything runs. Each finding has a code, a place, help and often the "
        "very replacement. Call it after each change, until there is none. `text` is a draft without a file.",
        {
            "paths": _PATHS,
            "text": text("A whole definition, instead of paths"),
            "strict": flag("Treat warnings as errors"),
        },
        _validate,
    ),
    Tool(
        "explain",
        "The page of a code such as SD104: what is wrong, why, a bad and a good example. Without a code: all codes.",
        {"code": text("The code of a finding or an error")},
        lambda asked: Words(("explain", "--", *([asked.arguments["code"]] if asked.has("code") else []))),
    ),
    Tool(
        "plugins",
        "The activities that definitions can call, with their inputs, outputs and errors; with a name one of them in "
        "full, with a step to copy. Call it before you write a step.",
        {"name": text("An activity")},
        _plugins,
    ),
    Tool(
        "timing",
        "How long a saga and each step can take by its own timeouts: one attempt, all retries, undoing.",
        {"paths": _PATHS},
        lambda asked: Words(("validate", "--explain-timing", *asked.plugins, "--", *asked.paths("paths"))),
    ),
    Tool(
        "size",
        "How many events and bytes the history of a run can have at worst, step by step.",
        {"paths": _PATHS},
        lambda asked: Words(("validate", "--explain-size", *asked.plugins, "--", *asked.paths("paths"))),
    ),
    Tool(
        "simulate",
        "Play a definition in virtual time, without a server and without side effects: what happens when. Calls "
        "succeed with an output of their type, unless a mock or a fault says otherwise.",
        {
            "file": _FILE,
            "input": _INPUT,
            "mocks": by_name(
                'What a call or activity does, as in suites: `{"charge": {"error": "Declined"}}`; a list is by attempt'
            ),
            "fail": texts("Calls that fail for good: `CALL` or `CALL=TYPE`"),
            "lose": texts("Calls that are never heard of again"),
            "signals": {
                "type": "array",
                "maxItems": 50,
                "description": "Signals that come from outside",
                "items": {
                    "type": "object",
                    "required": ["name", "at"],
                    "additionalProperties": False,
                    "properties": {
                        "name": {**TEXT, "pattern": "^[^=@]+$"},
                        "payload": any_of("Its data"),
                        "at": {**TEXT, "pattern": "^[^@]+$", "description": _MOMENT["description"]},
                    },
                },
            },
            "cancel_at": _MOMENT,
            "timeout_at": _MOMENT,
            "crash_at": _MOMENT,
            "seed": count("Draw other inputs", 0, 2**31),
            "now": text("Begin at this moment, such as `2026-03-29T00:30:00Z`"),
            "until": text("Stop after this much virtual time, such as `2h`"),
        },
        _simulate,
        ("file",),
    ),
    Tool(
        "explore",
        "Try every fault that a definition can meet, in virtual time, and show the ways that end badly, each with the "
        "case that repeats it.",
        {
            "file": _FILE,
            "input": any_of("Try this input only; otherwise inputs are drawn from the schema"),
            "faults": count("Faults in one run, at most", 0, 4),
            "budget": count("Seconds after which it stops, and says so; 20 if left out", 1, 120),
            "pauses": flag("An operator may pause and resume, too"),
            "kills": flag("The server may end the run, too"),
            "resets": flag("An operator may go back to a step, too"),
        },
        _explore,
        ("file",),
    ),
    Tool(
        "test",
        "Play the cases of suites (`*.saga-test.yaml`) in virtual time; each miss says what was expected and found.",
        {
            "paths": _PATHS,
            "keyword": text("Only cases with this text in their name"),
            "coverage": flag("Also say which outcomes of steps no case shows"),
        },
        lambda asked: Words(
            ("test", *asked.options("keyword", "coverage"), *asked.plugins, "--", *asked.suites("paths"))
        ),
    ),
    Tool(
        "graph",
        "A definition as a Mermaid drawing: lanes, loops, compensations, the pivot.",
        {"file": _FILE},
        _graph,
        ("file",),
        as_json=False,
    ),
    Tool(
        "diff",
        "What the change from one definition to another means for open runs and for callers: safe, some, breaks.",
        {"old": _FILE, "new": _FILE},
        lambda asked: Words(("diff", *asked.plugins, "--", asked.file("old"), asked.file("new"))),
        ("old", "new"),
    ),
)
"""The tools that need no server."""

OF_SAGAS = (
    Tool(
        "list",
        "List sagas on the server, newest first.",
        {
            "name": text("Only sagas of this name; `order*` is any name that begins so"),
            "status": text("Only sagas with this status: running, paused, failed, compensated …"),
            "where": text('A condition on search attributes, such as `OrderId = "42"`'),
            "query": text("A further condition in Temporal's list filter"),
            "limit": count("How many at most; 20 if left out", 1, 200),
        },
        _listed,
        connects=True,
    ),
    Tool(
        "incidents",
        "What waits for a person, by step and error.",
        {"name": text("Only sagas of this name"), "error": text("Only what waits because of this type of error")},
        lambda asked: Words(("incidents", *asked.options("name", "error"), "--limit=200")),
        connects=True,
    ),
    Tool(
        "status",
        "How a saga stands, step by step, and what can be done about it.",
        {
            "id": _ID,
            "run": _RUN,
            "limit": count("So many steps, in their order", 1, 200),
            "after": text("Behind this step"),
        },
        lambda asked: Words(("status", *asked.options("run", "limit", "after"), "--", asked.arguments["id"])),
        ("id",),
        connects=True,
    ),
    Tool(
        "trace",
        "A saga with its data: what was sent, what came back, why a call failed. Secret values are `***`.",
        {"id": _ID, "run": _RUN},
        lambda asked: Words(("trace", *asked.options("run"), "--", asked.arguments["id"])),
        ("id",),
        connects=True,
    ),
    Tool(
        "explain_run",
        "In sentences: what happened in a saga, what was undone, and what is left to do.",
        {"id": _ID, "run": _RUN},
        lambda asked: Words(("explain-run", *asked.options("run"), "--", asked.arguments["id"])),
        ("id",),
        connects=True,
    ),
    Tool(
        "query",
        "Ask a saga a query of its definition.",
        {"id": _ID, "name": text("Name of the query")},
        lambda asked: Words(("query", "--", asked.arguments["id"], asked.arguments["name"])),
        ("id", "name"),
        connects=True,
    ),
    Tool(
        "awaited_signals",
        "The signals that a saga waits for, with the schemas of their payloads.",
        {"id": _ID},
        lambda asked: Words(("signal", "--list", "--", asked.arguments["id"])),
        ("id",),
        connects=True,
    ),
)
"""The tools that look at sagas on the server."""
