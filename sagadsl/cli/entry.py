"""The way in and the way out: every command starts and ends here.

It turns any exception of a command into one readable block and an exit code. It ends the
process with ``os._exit``. With Temporal's SDK loaded, a Python process that ends in the ordinary
way dies of SIGABRT or SIGSEGV about one time in five, and loses its exit code (sdk-python#300);
a plugin's thread would keep it until the thread ends; and taking all modules apart one by one
takes a tenth of the time of a short command.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import NoReturn

import click

from sagadsl.cli.commands import cli
from sagadsl.cli.forms import WORDS
from sagadsl.cli.screen import Session, show_error, show_failure, tell
from sagadsl.cli.streams import Unwritable, complete, give_back, give_up, is_about_writing, out, prepare
from sagadsl.errors import SagadslError

INTERRUPTED = 130
BROKEN_PIPE = 141
INTERNAL = 70
USAGE = 2

_COMPLETE = "_SAGADSL_COMPLETE"


def main() -> NoReturn:
    """Run the command line of this process and end the process."""
    complete()
    prepare()  # a sign that a terminal lacks must not end the command
    leave(_run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code; the process goes on afterwards, with its own standard output."""
    try:
        return _run(arguments)
    finally:
        give_back()


def _run(arguments: Sequence[str]) -> int:
    instruction = os.environ.get(_COMPLETE)
    if instruction:
        from click.shell_completion import shell_complete

        return shell_complete(cli, {}, "sagadsl", _COMPLETE, instruction)
    here = Session(debug=os.environ.get("SAGADSL_DEBUG", "0") not in {"", "0", "false"})
    try:
        with cli.make_context("sagadsl", list(arguments), obj=here) as context:
            returned = cli.invoke(context)
            out().flush()  # a closed pipe or a full disk has to show up here, not at exit
            return returned if isinstance(returned, int) else 0
    except click.exceptions.Exit as done:
        return done.exit_code
    except click.UsageError as error:
        _show_usage(here, error, arguments)
        return error.exit_code
    except click.ClickException as error:
        show_error(here, "", error.format_message())
        return USAGE
    except (KeyboardInterrupt, click.Abort):
        print("interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        return BROKEN_PIPE
    except SagadslError as error:
        if here.debug:
            import traceback

            reason = getattr(error, "reason", None)  # for a broken plugin: the error in its author's code
            traceback.print_exception(reason if isinstance(reason, BaseException) else error)
        show_failure(here, error)
        return error.exit_code
    except OSError as error:
        if not is_about_writing(error):
            _show_internal(here, error)
            return INTERNAL
        show_failure(here, Unwritable(error))
        return Unwritable.exit_code
    except Exception as error:  # noqa: BLE001 - the last line of defence: whatever it is, it is our mistake
        _show_internal(here, error)
        return INTERNAL


def leave(code: int) -> NoReturn:
    """End the process with *code*, and with nothing but *code*."""
    for stream in dict.fromkeys((out(), sys.stdout, sys.stderr)):
        try:
            stream.flush()
        except (OSError, ValueError) as error:  # ValueError: somebody closed it
            gone = BROKEN_PIPE if isinstance(error, BrokenPipeError | ValueError) else Unwritable.exit_code
            code = gone if code == 0 else code
            give_up(stream)
    if (telemetry := sys.modules.get("sagadsl.temporal.link.telemetry")) is not None:
        telemetry.flush()
    if (logging := sys.modules.get("logging")) is not None:
        logging.shutdown()
    os._exit(code)


def _show_usage(here: Session, error: click.UsageError, arguments: Sequence[str]) -> None:
    # click parses no option when one of them is unknown, so look for the words that ask for JSON
    if WORDS & {word for argument in arguments for word in argument.split("=")}:
        here.output = "json"
    if error.ctx is not None and not isinstance(error, click.exceptions.NoArgsIsHelpError):
        print(error.ctx.get_usage(), file=sys.stderr)
        tell(f"Try `{error.ctx.command_path} --help`.")
    from sagadsl.cli.usage import sentence  # who makes no mistake need not load it

    show_error(here, "", sentence(error))


def _show_internal(here: Session, error: Exception) -> None:
    from importlib.metadata import version

    if here.debug:
        import traceback

        traceback.print_exc()
    show_error(
        here,
        "SD900",
        f"internal error in sagadsl {version('sagadsl')}: {type(error).__name__}: {error}",
        "this is a mistake of sagadsl, not yours: please report it, with what the same command prints under `--debug`",
    )
