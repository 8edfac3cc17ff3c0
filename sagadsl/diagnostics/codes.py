"""The table of codes. A code never changes its meaning, but its words may change. It does not find problems itself."""

from __future__ import annotations

from collections.abc import Mapping

from sagadsl.diagnostics.findings import Severity
from sagadsl.immutable import Immutable


class Code(Immutable):
    """One kind of problem; ``docs/diagnostics/<code>.md`` explains it.

    Attributes:
        code: ``SD`` and three digits.
        title: What is wrong, in a few words.
        severity: The severity of its findings, unless they have their own.
    """

    code: str
    title: str
    severity: Severity = Severity.ERROR


_YAML = (
    Code("SD001", "tab where YAML wants spaces"),
    Code("SD002", "not YAML"),
    Code("SD003", "key given twice"),
    Code("SD004", "key is not text"),
    Code("SD005", "YAML tag"),
    Code("SD006", "several documents in one file"),
    Code("SD007", "aliases that never end, or grow too large"),
    Code("SD008", "`{{ }}` without quotes"),
    Code("SD009", "not UTF-8 text"),
    Code("SD010", "file too large"),
    Code("SD011", "nested too deeply"),
    Code("SD012", "no definition in the file"),
    Code("SD013", "number that JSON cannot carry"),
    Code("SD014", "merge key without a mapping"),
    Code("SD015", "unknown alias"),
    Code("SD016", "file that cannot be read"),
    Code("SD017", "more mistakes than one report shows"),
    Code("SD018", "no such saga in the file"),
)

_SCHEMA = (
    Code("SD101", "language version missing or unknown"),
    Code("SD102", "required key missing"),
    Code("SD103", "value of the wrong type"),
    Code("SD104", "unknown key"),
    Code("SD105", "step without a kind"),
    Code("SD106", "step with several kinds"),
    Code("SD107", "value that is not allowed"),
    Code("SD108", "version that is not text"),
    Code("SD109", "not a JSON Schema"),
    Code("SD110", "reference to another file or site"),
    Code("SD120", "times of a schedule that cannot be read"),
    Code("SD130", "import that cannot be used"),
    Code("SD131", "use of something that no library has"),
    Code("SD132", "arguments that a fragment does not take"),
    Code("SD133", "reuse without an end"),
)

_NAMES = (
    Code("SD201", "id used twice"),
    Code("SD202", "`needs` of a step that is no sibling"),
    Code("SD203", "`needs` in a circle"),
    Code("SD204", "child saga that is not beside the file", Severity.WARNING),
    Code("SD205", "saga that runs itself"),
    Code("SD206", "loop variable that hides a name"),
    Code("SD207", "activity of sagadsl itself"),
    Code("SD208", "workflow id that is the same again", Severity.WARNING),
)

_EXPRESSIONS = (
    Code("SD301", "not an expression"),
    Code("SD302", "name unknown in this place"),
    Code("SD303", "hyphen in a step id"),
    Code("SD304", "step read before it has ended"),
    Code("SD305", "step that does not exist"),
    Code("SD306", "field that does not exist"),
    Code("SD307", "value that may be missing", Severity.WARNING),
    Code("SD308", "compensation that needs an output that may be unknown"),
    Code("SD309", "value of the wrong type in an expression"),
    Code("SD310", "expression where none is computed"),
    Code("SD311", "secret where others see it", Severity.WARNING),
)

_ACTIVITIES = (
    Code("SD401", "activity that is not installed"),
    Code("SD402", "input that the activity does not take"),
    Code("SD403", "input that the child saga does not take"),
    Code("SD404", "error type that the activity does not declare", Severity.WARNING),
    Code("SD405", "error type that does not match as written", Severity.WARNING),
    Code("SD406", "output whose fields the activity does not declare", Severity.NOTE),
)

_DURATIONS_AND_RETRIES = (
    Code("SD501", "not a duration"),
    Code("SD502", "duration without a unit"),
    Code("SD503", "years or months as a duration"),
    Code("SD504", "impossible number of attempts"),
    Code("SD505", "longest pause shorter than the first"),
    Code("SD506", "pauses that shrink"),
    Code("SD507", "duration of zero"),
    Code("SD511", "all attempts together shorter than one"),
    Code("SD512", "heartbeat slower than the attempt"),
    Code("SD513", "retried for ever before the pivot", Severity.WARNING),
    Code("SD514", "long attempt without a heartbeat", Severity.WARNING),
    Code("SD515", "wait for a late attempt that nobody waits for"),
    Code("SD516", "key that a local call does not use", Severity.WARNING),
    Code("SD517", "local call that may take long", Severity.WARNING),
)

_COMPENSATION = (
    Code("SD601", "second pivot on a path"),
    Code("SD602", "step that nothing undoes", Severity.WARNING),
    Code("SD603", "pivot after the end"),
    Code("SD604", "step after the pivot that can give up", Severity.WARNING),
    Code("SD605", "abort after the pivot"),
    Code("SD606", "step beside the pivot that can fail"),
    Code("SD607", "compensation that never runs", Severity.WARNING),
    Code("SD608", "compensation of a step that runs before each try"),
    Code("SD609", "compensation that is not told what it undoes", Severity.WARNING),
)

_FLOW_AND_LIMITS = (
    Code("SD701", "switch without `else`", Severity.WARNING),
    Code("SD702", "step that is never reached", Severity.WARNING),
    Code("SD703", "wait without an end", Severity.WARNING),
    Code("SD704", "signal with two payloads"),
    Code("SD705", "too many calls at once"),
    Code("SD706", "more to undo than a run can hand on", Severity.WARNING),
    Code("SD707", "handler that never matches", Severity.WARNING),
    Code("SD708", "suppression that suppresses nothing", Severity.WARNING),
    Code("SD709", "suppression without a known code", Severity.WARNING),
    Code("SD711", "answer that comes too late for its wait", Severity.WARNING),
    Code("SD712", "pause that never comes, or never ends", Severity.WARNING),
    Code("SD713", "state that a loop cannot keep"),
    Code("SD714", "`on_pause` of a saga that never pauses", Severity.WARNING),
    Code("SD715", "`return` when the saga has failed"),
    Code("SD716", "early answer that nobody hears", Severity.WARNING),
    Code("SD717", "`while` that no round changes", Severity.WARNING),
    Code("SD718", "output of a handler that nothing uses", Severity.WARNING),
    Code("SD720", "schedule whose input the saga does not take"),
    Code("SD721", "time zone that does not exist"),
    Code("SD722", "cron that names days twice", Severity.WARNING),
)

_SUITES = (
    Code("SD801", "suite whose saga cannot be used"),
    Code("SD802", "name that no call and no step has"),
    Code("SD803", "two cases with one name"),
    Code("SD804", "entry of `when` without one action and one moment"),
    Code("SD805", "expectation that is no expression"),
    Code("SD806", "attempt that would end in two ways"),
    Code("SD807", "attempt that a local activity cannot make"),
    Code("SD808", "end that a signal to another saga cannot have"),
    Code("SD809", "error type that the saga nearly knows", Severity.WARNING),
    Code("SD810", "way that a saga must not go"),
    Code("SD811", "output that its activity does not give", Severity.WARNING),
)

_ENVIRONMENT = (
    Code("SD900", "mistake of sagadsl itself"),
    Code("SD901", "no answer from the Temporal server"),
    Code("SD902", "connection setting that cannot be right"),
    Code("SD903", "no Temporal server that could be started"),
    Code("SD904", "embedded server that does not start"),
    Code("SD905", "worker that would fail its first saga"),
    Code("SD906", "request that the server refuses"),
    Code("SD907", "address for metrics that cannot be used"),
    Code("SD910", "activity that cannot be imported"),
    Code("SD911", "activity offered twice"),
    Code("SD912", "activity that nobody offers"),
    Code("SD913", "settings of the project that cannot be read"),
    Code("SD914", "payload codec that fails"),
    Code("SD915", "data that cannot be read without its codec"),
    Code("SD916", "payload codec that cannot be used"),
    Code("SD917", "encryption key that cannot be used"),
    Code("SD918", "data that no encryption key here opens"),
    Code("SD919", "storage of large payloads that cannot be used"),
    Code("SD920", "definition that cannot run"),
    Code("SD921", "input that the saga does not take"),
    Code("SD922", "id that is taken"),
    Code("SD923", "saga that does not exist"),
    Code("SD924", "saga that is over"),
    Code("SD925", "request that makes no sense now"),
    Code("SD926", "no worker that answers"),
    Code("SD927", "id, name or task queue that is too long"),
    Code("SD928", "saga that Temporal's own pause holds"),
    Code("SD929", "saga that no worker knows"),
    Code("SD930", "input that cannot be read"),
    Code("SD931", "scene that cannot be played"),
    Code("SD932", "result that cannot be written"),
    Code("SD933", "process that died at its work"),
    Code("SD940", "address that cannot be listened on"),
    Code("SD941", "file of tokens that cannot be used"),
    Code("SD942", "token missing or unknown"),
    Code("SD943", "right that is missing"),
    Code("SD944", "name or origin that is not allowed"),
    Code("SD945", "too many requests"),
    Code("SD946", "body that is too large"),
    Code("SD947", "parameter that cannot be read"),
    Code("SD948", "body that cannot be read"),
    Code("SD949", "answer that took too long"),
    Code("SD950", "saga that the gateway does not offer"),
    Code("SD951", "id or key that cannot be used"),
    Code("SD952", "idempotency key used for another input"),
    Code("SD953", "operator's request that cannot be read"),
    Code("SD954", "address that the gateway does not have"),
    Code("SD955", "packages of an extra missing"),
    Code("SD956", "folder in use by another `sagadsl dev`"),
    Code("SD957", "tokens that cannot be checked at this moment"),
    Code("SD961", "request that nobody has answered"),
    Code("SD962", "saga that begins later"),
    Code("SD963", "signal that the saga never waits for"),
    Code("SD964", "payload that the signal does not take"),
    Code("SD965", "signal that nothing waits for any more"),
    Code("SD966", "signal that the saga has refused"),
    Code("SD967", "signal that comes too early to count"),
    Code("SD968", "condition that cannot be read"),
    Code("SD969", "query that the saga does not answer"),
    Code("SD980", "schedule that does not exist"),
    Code("SD981", "id of a schedule that is taken"),
    Code("SD970", "saga that cannot go on with another definition"),
    Code("SD975", "file that cannot keep the results of many requests"),
    Code("SD976", "server that did not answer for one of many sagas"),
    Code("SD977", "saga that is not forgotten, as it, or one above it, is open"),
    Code("SD978", "runs that the server has not deleted yet"),
    Code("SD971", "history that cannot be replayed"),
    Code("SD972", "saga that is still running"),
    Code("SD973", "work that another run has taken up"),
    Code("SD974", "run that has left nothing to take up"),
    Code("SD990", "key of signatures that cannot be used"),
    Code("SD991", "definition that nobody trusted has signed"),
    Code("SD992", "file of signatures that cannot be read"),
    Code("SD993", "definitions that cannot be fetched"),
    Code("SD985", "drawing that cannot be put into a page"),
    Code("SD986", "file without a history"),
    Code("SD989", "`pyproject.toml` that cannot be added to"),
)

CODES: Mapping[str, Code] = {
    code.code: code
    for family in (
        _YAML,
        _SCHEMA,
        _NAMES,
        _EXPRESSIONS,
        _ACTIVITIES,
        _DURATIONS_AND_RETRIES,
        _COMPENSATION,
        _FLOW_AND_LIMITS,
        _SUITES,
        _ENVIRONMENT,
    )
    for code in family
}
"""Every code, by families."""
