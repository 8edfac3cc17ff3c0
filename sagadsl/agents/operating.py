"""The tools that change sagas. None is there unless whoever starts the server has allowed it."""

from __future__ import annotations

from collections.abc import Mapping

from sagadsl.agents.tools import Data, Tool, any_of, flag, text
from sagadsl.agents.words import ToolCall, Words
from sagadsl.engine.verbs import DECISIONS, SENTENCES, VERBS, Verb

_ID = text("Id of the saga")
_WHY = text("Why, for the people who read the saga's history")
_STEP = text("The step, by its path as `status` shows it")
_REQUEST = text("Key of this request: repeated with the same key, it counts once")
_DRY = flag("Only show what would happen")
_OUTPUT = any_of("Output of the step, which later steps read")

START = "start"
"""The tool that starts a saga: the command `run`."""


def _verb(
    verb: Verb,
    takes: Mapping[str, Data],
    more: str = "",
    *,
    path: str = "",
    needs: tuple[str, ...] = (),
    destroys: bool = False,
) -> Tool:
    def words(asked: ToolCall) -> Words:
        options = [*asked.options("request", "occurrence", "new_key", "nothing_to_undo"), *_acting(asked)]
        behind = [asked.arguments[path]] if path and asked.has(path) else []
        return Words(
            (verb.word, *options, *asked.json("input", "step_output"), "--", str(asked.arguments["id"]), *behind)
        )

    return Tool(
        verb.word,
        f"{SENTENCES[verb]}.{more}",
        {"id": _ID, **takes, "why": _WHY, "request": _REQUEST},
        words,
        ("id", *needs, "why"),
        connects=True,
        operates=True,
        destroys=destroys,
    )


def _acting(asked: ToolCall) -> list[str]:
    return asked.options("why", "by")


def _start(asked: ToolCall) -> Words:
    by, why = str(asked.arguments.get("by", "")), str(asked.arguments["why"])
    options = [*asked.options("id", "task_queue"), f"--summary={why} ({by})"]
    modules = [each for each in asked.plugins if each.startswith("--module")]
    return Words(("run", "--detach", *options, *modules, *asked.json("input"), "--", asked.saga("saga")))


def _signal(asked: ToolCall) -> Words:
    behind = (str(asked.arguments["id"]), str(asked.arguments["name"]))
    return Words(("signal", *asked.options("request"), *_acting(asked), *asked.json("payload"), "--", *behind))


def _taking_up(word: str, *flags: str) -> Tool:
    takes = {
        "recover": {"forward": flag("Finish the saga instead of undoing it")},
        "redrive": {
            "from": text("Go back to this step, and on from there"),
            "undo": flag("Undo what it has left, also where it could go on"),
            "input": any_of("A new input, for a saga that begins anew"),
        },
        "reset": {"to": _STEP},
    }[word]
    about = {
        "recover": "Undo or finish a saga whose run the server ended, or whose run hangs.",
        "redrive": "Go on with a saga that has failed, in a new run under the same id.",
        "reset": f"{SENTENCES[Verb.RESET]}.",
    }[word]

    def words(asked: ToolCall) -> Words:
        options = [*asked.options(*flags, "dry_run"), *asked.json(*(["input"] if "input" in takes else []))]
        return Words((word, *options, *_acting(asked), "--yes", "--", str(asked.arguments["id"])))

    return Tool(
        word,
        f"{about} Ask with `dry_run` first: it shows the plan.",
        {"id": _ID, **takes, "dry_run": _DRY, "why": _WHY},
        words,
        ("id", *(["to"] if word == "reset" else []), "why"),
        connects=True,
        operates=True,
        destroys=True,
    )


_OCCURRENCE: Data = {"type": "integer", "minimum": 1, "description": "Which wait of the step, as `status` shows it"}
_CHILD = {"child": text("Path of a child saga that is meant alone")}

OPERATING = (
    Tool(
        START,
        "Start a saga on the server, and return its id at once. A worker has to run there. Look at it with `status`.",
        {
            "saga": text("A file of the folder, or the name of a saga that the workers have"),
            "input": any_of("Its input, as JSON"),
            "id": text("Id of the run; choose one by the business, so that it cannot start twice"),
            "task_queue": text("Where to start it, instead of the definition's own queue"),
            "why": _WHY,
        },
        _start,
        ("saga", "why"),
        connects=True,
        operates=True,
    ),
    Tool(
        "signal",
        "Send a signal to a saga that waits for it. `awaited_signals` says which, and what payload fits.",
        {
            "id": _ID,
            "name": text("Name of the signal"),
            "payload": any_of("Its data"),
            "why": _WHY,
            "request": _REQUEST,
        },
        _signal,
        ("id", "name", "why"),
        connects=True,
        operates=True,
    ),
    Tool(
        "cancel",
        "Stop a saga and undo what it has done. After its pivot nothing is undone any more.",
        {"id": _ID, "why": _WHY},
        lambda asked: Words(("cancel", *_acting(asked), "--", str(asked.arguments["id"]))),
        ("id", "why"),
        connects=True,
        operates=True,
        destroys=True,
    ),
    _verb(
        Verb.RETRY_STEP,
        {
            "step": _STEP,
            "input": any_of("Input of the call, instead of the one that it had"),
            "new_key": flag("Give the call a new idempotency key"),
            "occurrence": _OCCURRENCE,
        },
        " Name the step if several wait.",
        path="step",
    ),
    _verb(
        Verb.COMPLETE_STEP,
        {
            "step": _STEP,
            "step_output": _OUTPUT,
            "nothing_to_undo": flag("Never undo the step"),
            "occurrence": _OCCURRENCE,
        },
        " Only a person knows that: ask first.",
        path="step",
        needs=("step",),
        destroys=True,
    ),
    _verb(
        Verb.SKIP_STEP,
        {"step": _STEP, "step_output": _OUTPUT, "occurrence": _OCCURRENCE},
        path="step",
        needs=("step",),
        destroys=True,
    ),
    _verb(
        Verb.ABORT,
        _CHILD,
        " If a step waits, it fails and undoes what it has done; if a compensation waits, it leaves the rest as it is, "
        "ends as failed, and reports what it has not undone.",
        path="child",
        destroys=True,
    ),
    _verb(Verb.PAUSE, _CHILD, path="child"),
    _verb(Verb.RESUME, _CHILD, path="child"),
    _taking_up("reset", "to"),
    _taking_up("redrive", "from", "undo"),
    _taking_up("recover", "forward"),
)
"""Every tool that changes a saga."""

assert {each.word for each in DECISIONS} | set(VERBS) <= {each.name for each in OPERATING}
