"""Says what is wrong with the words of a command: click's complaints, as sentences like all others.

click raises them before any command runs, with words of its own and without a suggestion for a value. What it
says of a kind that is not known here stays as it is, but for its quotes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import click

from sagadsl.language.suggest import closest, did_you_mean, listed

_FURTHER = re.compile(r"Got unexpected extra arguments? \((?P<words>.*)\)", re.S)
_NO_VALUE = re.compile(r"Option '(?P<name>.*)' (?P<what>requires an argument|does not take a value)")
_VALUE = re.compile(r"'?(?P<value>.*?)'? is not (?:a valid |one of |in the range )", re.S)
_MOST_WORDS = 12
_DATA = ("--set", "--input", "--input-file", "--payload", "--data")
"""What commands call the option for their data."""
_NEAR = 0.8
"""Options begin alike: `--no-plugins` is not meant for `--no-tls`."""


def sentence(error: click.UsageError) -> str:
    """Return what is wrong, what was found, and what is probably meant."""
    if isinstance(error, click.NoSuchOption):
        return _there_is_no("option", error.option_name, error.ctx)
    if isinstance(error, click.exceptions.NoSuchCommand):
        return _there_is_no("command", error.command_name, error.ctx)
    if isinstance(error, click.MissingParameter):
        return _missing(error)
    if isinstance(error, click.BadParameter):
        return _unfit(error)
    message = error.format_message()
    if found := _FURTHER.fullmatch(message):
        return f"`{found['words']}` is more than this command takes" + _as_option(error.ctx, found["words"])
    if found := _NO_VALUE.match(message):
        return f"`{found['name']}` {'needs a value' if found['what'].startswith('requires') else 'takes no value'}"
    return message


def _there_is_no(what: str, name: str, ctx: click.Context | None) -> str:
    known = () if ctx is None else tuple(_options(ctx) if what == "option" else _commands(ctx))
    if what == "command" and ctx is not None:
        hint = did_you_mean(name, known) or f"there are {listed(known)}"
        return f"`{ctx.command_path}` has no command `{name}`; {hint}"
    near = closest(name, (each for each in known if each.startswith("--")), _NEAR)
    if near is not None:
        return f"there is no option `{name}`; did you mean `{near}`?"
    data = _for_data(ctx) if name in _DATA else None
    return f"there is no option `{name}`" + (f"; {data}" if data else "")


def _as_option(ctx: click.Context | None, words: str) -> str:
    """Return which option takes what looks like JSON."""
    data = _for_data(ctx) if words[:1] in ("{", "[", "@", '"') else None
    return f"; {data}" if data else ""


def _for_data(ctx: click.Context | None) -> str | None:
    """Return how this command takes data, if it does."""
    known = () if ctx is None else tuple(_options(ctx))
    if "--payload" in known:
        return 'the payload is one JSON value: `--payload \'{"key": "value"}\'`'
    return 'the input is one JSON object: `--input \'{"key": "value"}\'`' if "--input" in known else None


def _options(ctx: click.Context) -> Iterator[str]:
    for each in ctx.command.get_params(ctx):
        if isinstance(each, click.Option) and not each.hidden:
            yield from (*each.opts, *each.secondary_opts)


def _commands(ctx: click.Context) -> Iterator[str]:
    if isinstance(ctx.command, click.Group):
        yield from ctx.command.list_commands(ctx)


def _missing(error: click.MissingParameter) -> str:
    kind = "argument" if isinstance(error.param, click.Argument) else "option"
    text = f"the {kind} `{_named(error)}` is missing"
    return f"{text}: {_words(error.param.type)}" if error.param and isinstance(error.param.type, click.Choice) else text


def _unfit(error: click.BadParameter) -> str:
    name, kind = _named(error), error.param.type if error.param is not None else None
    found = _VALUE.match(error.message)
    if found is None:
        return f"`{name}`: {_plain(error.message)}" if name else _plain(error.message)
    value = found["value"]
    if isinstance(kind, click.Choice):
        return f"`{name}` cannot be `{value}`; {did_you_mean(value, map(str, kind.choices)) or _words(kind)}"
    return f"`{name}` must be {_wanted(kind)}, got `{value}`"


def _named(error: click.BadParameter) -> str:
    """Return the name of an option or an argument, as the help writes it, without its brackets."""
    if isinstance(error.param, click.Option):
        return max(error.param.opts, key=len)
    if error.param is not None:
        return (error.param.metavar or (error.param.name or "").upper()).strip("[].…")
    hint = error.param_hint
    return (hint if isinstance(hint, str) else "/".join(hint or ())).strip("'")


def _words(kind: click.ParamType[object]) -> str:
    every = [str(each) for each in kind.choices] if isinstance(kind, click.Choice) else []
    return f"it is one of {', '.join(f'`{each}`' for each in every[:_MOST_WORDS])}"


def _wanted(kind: click.ParamType[object] | None) -> str:
    """Return what a number has to be."""
    word = "a whole number" if isinstance(kind, click.types.IntParamType) else "a number"
    if not isinstance(kind, click.IntRange | click.FloatRange):
        return word
    low, high = (None if each is None else f"{each:g}" for each in (kind.min, kind.max))
    if low is not None and high is not None:
        return f"{word} from {low} to {high}"
    return f"{word} of at least {low}" if low is not None else f"{word} of at most {high}"


def _plain(message: str) -> str:
    """Return a text of click's without its capital letter, its quotes and its full stop."""
    text = re.sub(r"'([^']*)'", r"`\1`", message.removesuffix("."))
    return text[:1].lower() + text[1:]
