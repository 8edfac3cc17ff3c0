"""The options that several commands share, so that one word means the same everywhere."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import click

from sagadsl.cli.reach import same_server
from sagadsl.cli.screen import session_of, warn
from sagadsl.cli.streams import with_guests
from sagadsl.language.notation.moments import instant

if TYPE_CHECKING:
    from sagadsl.temporal.link.flags import Flags
    from sagadsl.temporal.link.settings import ConnectionSettings

P = ParamSpec("P")
R = TypeVar("R")


def common(command: Callable[P, R]) -> Callable[P, R]:
    """Add what every command takes: ``--color``, ``-q``, ``-v``, ``--debug``."""
    return with_options(command, _COMMON)


def with_options(
    command: Callable[P, R], options: Sequence[Callable[[Callable[P, R]], Callable[P, R]]]
) -> Callable[P, R]:
    """Add *options* to a command; its help shows them in this order."""
    for option in reversed(options):
        command = option(command)
    return command


def _json_as(written: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Add ``--json``, short for what is *written* otherwise."""
    return click.option(
        "--json", is_flag=True, is_eager=True, expose_value=False, callback=_set_json, help=f"Same as `{written}`."
    )


def output(*choices: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Add ``-o/--output`` with these *choices*, the first being the default, and ``--json``."""

    def add(command: Callable[P, R]) -> Callable[P, R]:
        # eager, so that a later mistake on the same line is reported in this format
        command = _json_as("-o json")(command)
        return click.option(
            "-o",
            "--output",
            type=click.Choice(choices),
            default=choices[0],
            show_default=True,
            is_eager=True,
            expose_value=False,
            callback=_set_output,
            help="Form of the result on stdout.",
        )(command)

    return add


def form(*choices: str, help: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Add ``-f/--format`` with these *choices*, the first being the default: the command's argument ``format``; and
    ``--json``, as every command has it."""

    def add(command: Callable[P, R]) -> Callable[P, R]:
        command = _json_as("-f json")(command)
        return click.option(
            "-f",
            "--format",
            type=click.Choice(choices),
            default=choices[0],
            show_default=True,
            is_eager=True,
            callback=_set_format,
            help=help,
        )(command)

    return add


def output_file(command: Callable[P, R]) -> Callable[P, R]:
    """Add ``--output-file``: where ``screen.write`` puts the result."""
    help = "Write it to this file, not to stdout."
    return click.option("--output-file", metavar="FILE", callback=can_be_written, help=help)(command)


def can_be_written(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    """Refuse a file that cannot be written before the work is done whose result it would hold."""
    if value is None or ctx.resilient_parsing:
        return value
    folder = os.path.dirname(value) or "."
    why = ""
    if os.path.isdir(value):
        why = "it is a folder"
    elif not os.path.isdir(folder):
        why = f"there is no folder `{folder}`"
    elif not os.access(value if os.path.exists(value) else folder, os.W_OK):
        why = "permission denied"
    if why:
        raise click.UsageError(f"`{value}` cannot be written: {why} ({max(param.opts, key=len)})", ctx)
    return value


def saga_input(command: Callable[P, R]) -> Callable[P, R]:
    """Add the options for the input of a saga: ``-i/--input``, ``--input-file``, ``--set``."""
    help = "One value, typed by the input schema; KEY:=JSON is JSON as it stands. May be repeated."
    command = click.option("--set", multiple=True, metavar="KEY=VALUE", help=help)(command)
    command = click.option("--input-file", metavar="FILE", help="Input from a JSON or YAML file.")(command)
    help = "Input: JSON, @FILE (JSON or YAML), or - for standard input."
    return click.option("-i", "--input", metavar="JSON", help=help)(command)


def log_format(command: Callable[P, R]) -> Callable[P, R]:
    """Add ``--log-format``, which ``[telemetry]`` of the project may say too: see ``logs_as``."""
    return click.option(
        "--log-format",
        type=click.Choice(["text", "json"]),
        expose_value=False,
        is_eager=True,
        callback=_set_log_format,
        help="Form of the lines on stderr: for people, or one JSON document each.",
    )(command)


def logs_as(settings: ConnectionSettings) -> None:
    """Let the lines on stderr look as the project's settings say, if no flag says it."""
    context = click.get_current_context()
    if context.get_parameter_source("log_format") in (None, click.core.ParameterSource.DEFAULT):
        session_of(context).log_format = settings.telemetry.log_format


def no_plugins(
    instead: str = "draw outputs from what the definition reads",
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Add ``--no-plugins``; *instead* says what the command does then."""
    return click.option("--no-plugins", is_flag=True, help=f"Know no activities: {instead}.")


def modules(command: Callable[P, R]) -> Callable[P, R]:
    """Add ``-m/--module``, for activities that are not installed as a plugin, and keep stdout from all of them."""
    return click.option(
        "-m",
        "--module",
        multiple=True,
        metavar="MODULE",
        help="Also take the activities of this Python module; may be repeated.",
    )(with_guests(command))


def settings_of(flags: Flags) -> ConnectionSettings:
    """Return the settings of the connection, and warn of settings that are not used, or are a risk."""
    from sagadsl.temporal.link.settings import resolve

    settings = resolve(flags, os.environ)
    for text in settings.warnings:
        warn(text)
    session_of(click.get_current_context()).reach = same_server(settings)
    return settings


def connection(command: Callable[..., R]) -> Callable[..., R]:
    """Add the connection flags of the ``temporal`` command; the function receives them as ``flags``.

    One of the flags names a user's codec, whose code then runs in this process.
    """
    command = with_guests(command)

    @functools.wraps(command)
    def gathered(*args: Any, **kwargs: Any) -> R:
        names = [name for name, *_ in _CONNECTION] + ["grpc_meta", "encryption_key"]
        values = {name: kwargs.pop(name) for name in names}
        return command(*args, flags=_flags(values), **kwargs)

    wrapped: Callable[..., R] = gathered
    wrapped = click.option(
        "--grpc-meta", multiple=True, metavar="KEY=VALUE", help="Header of every request; may be repeated."
    )(wrapped)
    wrapped = click.option(
        "--encryption-key",
        multiple=True,
        metavar="ID=KIND:WHERE",
        help="Encrypt payloads by this key: ID=file:PATH, ID=env:NAME, ID=command:WORDS or ID=provider:NAME; further "
        "ones only decrypt.  [env: SAGADSL_ENCRYPTION_KEYS]",
    )(wrapped)
    for name, declaration, attributes in reversed(_CONNECTION):
        wrapped = click.option(*declaration, name, **attributes)(wrapped)
    return wrapped


def again(flags: Flags) -> tuple[list[str], dict[str, str]]:
    """Return the words, and the variables, with which a further command reaches the same server.

    A key travels in a variable: everybody on the machine can see the words of a process.
    """
    kept = {} if flags.disable_config_env else _IN_VARIABLES
    words = [f"--grpc-meta={each}" for each in flags.grpc_meta]
    words += [f"--encryption-key={each}" for each in flags.encryption_key]
    for name, declaration, _ in _CONNECTION:
        value, option = getattr(flags, name), declaration[-1]
        if name == "tls":
            words += [] if value is None else ["--tls" if value else "--no-tls"]
        elif value is True:
            words.append(option)
        elif value and name not in kept:
            words.append(f"{option}={value}")
    return words, {variable: getattr(flags, name) for name, variable in kept.items() if getattr(flags, name)}


def _flags(values: dict[str, Any]) -> Flags:
    from sagadsl.temporal.link.flags import Flags

    return Flags(**values)


_IN_VARIABLES = {"api_key": "TEMPORAL_API_KEY", "codec_auth": "TEMPORAL_CODEC_AUTH"}
_CONNECTION: tuple[tuple[str, tuple[str, ...], dict[str, Any]], ...] = (
    ("address", ("--address",), {"metavar": "HOST:PORT", "help": "Temporal server.  [env: TEMPORAL_ADDRESS]"}),
    ("namespace", ("-n", "--namespace"), {"metavar": "NAME", "help": "Namespace.  [env: TEMPORAL_NAMESPACE]"}),
    ("api_key", ("--api-key",), {"metavar": "KEY", "help": "API key.  [env: TEMPORAL_API_KEY]"}),
    (
        "api_key_from",
        ("--api-key-from",),
        {
            "metavar": "KIND:WHERE",
            "help": "Where the API key is: file:PATH or command:WORDS. A worker reads it again.  "
            "[env: SAGADSL_API_KEY_FROM]",
        },
    ),
    ("tls", ("--tls/--no-tls",), {"default": None, "help": "Encrypt the connection.  [env: TEMPORAL_TLS]"}),
    (
        "tls_cert_path",
        ("--tls-cert-path",),
        {"metavar": "FILE", "help": "Client certificate.  [env: TEMPORAL_TLS_CLIENT_CERT_PATH]"},
    ),
    (
        "tls_key_path",
        ("--tls-key-path",),
        {"metavar": "FILE", "help": "Key of the client certificate.  [env: TEMPORAL_TLS_CLIENT_KEY_PATH]"},
    ),
    (
        "tls_ca_path",
        ("--tls-ca-path",),
        {
            "metavar": "FILE",
            "help": "Authority that signed the server's certificate.  [env: TEMPORAL_TLS_SERVER_CA_CERT_PATH]",
        },
    ),
    (
        "tls_server_name",
        ("--tls-server-name",),
        {"metavar": "NAME", "help": "Name in the server's certificate.  [env: TEMPORAL_TLS_SERVER_NAME]"},
    ),
    ("tls_disable_host_verification", ("--tls-disable-host-verification",), {"is_flag": True, "hidden": True}),
    ("profile", ("--profile",), {"metavar": "NAME", "help": "Profile in temporal.toml.  [env: TEMPORAL_PROFILE]"}),
    (
        "config_file",
        ("--config-file",),
        {"metavar": "FILE", "help": "Where temporal.toml is.  [env: TEMPORAL_CONFIG_FILE]"},
    ),
    ("disable_config_file", ("--disable-config-file",), {"is_flag": True, "help": "Read no temporal.toml."}),
    ("disable_config_env", ("--disable-config-env",), {"is_flag": True, "help": "Read no TEMPORAL_* variable."}),
    (
        "codec",
        ("--codec",),
        {"metavar": "MODULE:NAME", "help": "Payload codec or data converter of your own.  [env: SAGADSL_CODEC]"},
    ),
    (
        "codec_endpoint",
        ("--codec-endpoint",),
        {"metavar": "URL", "help": "Codec server that encodes and decodes.  [env: TEMPORAL_CODEC_ENDPOINT]"},
    ),
    (
        "codec_auth",
        ("--codec-auth",),
        {"metavar": "TEXT", "help": "`Authorization` for the codec server.  [env: TEMPORAL_CODEC_AUTH]"},
    ),
    (
        "storage",
        ("--storage",),
        {
            "metavar": "file:FOLDER|s3://BUCKET",
            "help": "Keep large payloads there instead of in Temporal.  [env: SAGADSL_STORAGE]",
        },
    ),
    (
        "otlp",
        ("--otlp",),
        {"metavar": "URL", "help": "Send traces and metrics to this collector.  [env: OTEL_EXPORTER_OTLP_ENDPOINT]"},
    ),
)


def _set_format(ctx: click.Context, param: click.Parameter, value: str) -> str:
    if session_of(ctx).asked_json:
        value = "json"
    session_of(ctx).output = value
    return value


def _set_output(ctx: click.Context, param: click.Parameter, value: str) -> None:
    if ctx.get_parameter_source("output") is not click.core.ParameterSource.DEFAULT:
        session_of(ctx).output = value


def _set_json(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if value:
        session_of(ctx).output, session_of(ctx).asked_json = "json", True
        if "format" in ctx.params:  # it was read before
            ctx.params["format"] = "json"


def _set_log_format(ctx: click.Context, param: click.Parameter, value: str | None) -> None:
    if value:
        session_of(ctx).log_format = value


def _set_color(ctx: click.Context, param: click.Parameter, value: str | None) -> None:
    if value:
        session_of(ctx).color = value
        ctx.color = None if value == "auto" else value == "always"


def _set_debug(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if value:
        session_of(ctx).debug = True


def _set_verbosity(ctx: click.Context, param: click.Parameter, value: int) -> None:
    if value:
        session_of(ctx).verbosity = -1 if param.name == "quiet" else value


_COMMON = (
    click.option(
        "--color",
        type=click.Choice(["auto", "always", "never"]),
        expose_value=False,
        callback=_set_color,
        is_eager=True,
        help="Colour; auto looks at the terminal and at NO_COLOR.",
    ),
    click.option(
        "-q", "--quiet", is_flag=True, expose_value=False, callback=_set_verbosity, help="Show only results and errors."
    ),
    click.option(
        "-v", "--verbose", count=True, expose_value=False, callback=_set_verbosity, help="Show more; -vv shows all."
    ),
    click.option(
        "--debug",
        is_flag=True,
        expose_value=False,
        callback=_set_debug,
        is_eager=True,
        help="Show tracebacks.  [env: SAGADSL_DEBUG]",
    ),
)


def beginning(command: Callable[..., int]) -> Callable[..., int]:
    """Add the option for the moment at which virtual time begins; :func:`instant_of` reads it."""
    help = "Begin at this moment, e.g. 2026-03-29T00:30:00Z, not in 2023."
    return click.option("--now", metavar="MOMENT", default=None, help=help)(command)


def instant_of(now: str | None) -> float | None:
    """Return the moment of ``--now`` in seconds since 1970; ``None`` when it is left out."""
    found = instant(now)
    if now is not None and found is None:
        raise click.UsageError(f"`--now {now}` is not a moment: write it like `2026-01-31T09:00:00Z`")
    return found


def show_secrets(command: Callable[..., int]) -> Callable[..., int]:
    """Add the option that shows what schemas mark as secret."""
    text = "Show also values that a schema marks by `x-secret`."
    return click.option("--show-secrets", is_flag=True, help=text)(command)
