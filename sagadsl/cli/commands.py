"""The list of commands. Each command is imported only when it runs.

``sagadsl --help`` must import no more than click, and ``sagadsl validate`` must not import
Temporal's SDK. So this module names each command's module, and the one line that the list
shows; a test keeps that line equal to the command's own.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping

import click

from sagadsl.cli.help_text import NarrowContext, fitted
from sagadsl.cli.options import common
from sagadsl.engine.verbs import SENTENCES, VERBS, Verb
from sagadsl.immutable import Immutable


class Entry(Immutable):
    """One command: where it is, and its one line."""

    target: str
    summary: str


_HOMES = {Verb.RESET: "resetting"}
"""The modules of operators' verbs that are not in ``operate``."""

SECTIONS: Mapping[str, Mapping[str, Entry]] = {
    "Write": {
        "new": Entry("new:new", "Write a project, a plugin, a saga or a suite to start from."),
        "init": Entry("init:init", "Add what sagas need to a repository that is there."),
        "validate": Entry("validate:validate", "Find the mistakes in definitions before anything runs."),
        "diff": Entry("diff:diff", "Say what a change means for open runs and for callers."),
        "graph": Entry("graph:graph", "Draw a definition, or how a run stands in it."),
        "explain": Entry("explain:explain", "Explain a code such as SD104."),
        "schema": Entry("schema:schema", "Print the JSON Schema of definitions, for editors."),
        "lsp": Entry("lsp:lsp", "Serve an editor: completion, mistakes while you type, renaming."),
        "mcp": Entry("mcp:mcp", "Serve language models: check, try, and look at sagas."),
        "plugins": Entry("plugins:plugins", "Show which activities are installed."),
    },
    "Try": {
        "simulate": Entry("simulate:simulate", "Run a definition in virtual time, without a server."),
        "explore": Entry("explore:explore", "Try every fault of a definition, without a server."),
        "test": Entry("test:test", "Play the cases of suites, without a server."),
    },
    "Run": {
        "run": Entry("run:run", "Start a saga and show its steps until it ends."),
        "worker": Entry("worker:worker", "Serve sagas and their activities until stopped."),
        "dev": Entry("dev:dev", "Run server, worker and page in one terminal while you write."),
        "serve": Entry("serve:serve", "Serve sagas over HTTP, with a web page."),
        "token": Entry("token:token", "Make a token for somebody who may use the gateway."),
        "keygen": Entry("signing:keygen", "Make a key that signs definitions."),
        "sign": Entry("signing:sign", "Sign definitions, for workers that take no others."),
        "verify": Entry("signing:verify", "Say who has signed definitions, and which are trusted."),
        "schedule": Entry("scheduling:schedule", "Let Temporal start sagas by the clock."),
    },
    "Operate": {
        "list": Entry("listing:list_", "List sagas, newest first."),
        "incidents": Entry("incidents:incidents", "Show what waits for a person, by step and error."),
        "status": Entry("operate:status", "Show how a saga stands, step by step."),
        "trace": Entry("tracing:trace", "Show a saga step by step, with its data and its causes."),
        "explain-run": Entry("tracing:explain_run", "Tell in sentences what happened, and what is left to do."),
        "result": Entry("operate:result", "Wait for the end of a saga and print its output."),
        "query": Entry("asking:query", "Ask a saga a query of its definition."),
        "signal": Entry("operate:signal", "Send a signal to a saga that waits for it."),
        "cancel": Entry("operate:cancel", "Stop a saga and undo what it has done."),
        "terminate": Entry("recovering:terminate", "Kill a saga at once; nothing is undone."),
        "history": Entry("histories:history", "Keep what runs have recorded, in files."),
        "replay": Entry("histories:replay", "Play recorded runs on this release, before it is rolled out."),
        "migrate": Entry("migrating:migrate", "Let open sagas go on with another definition."),
        "forget": Entry("forgetting:forget", "Delete all that the server keeps of a saga."),
        "recover": Entry("recovering:recover", "Undo or finish a saga whose run the server ended."),
        "redrive": Entry("recovering:redrive", "Go on with a saga that has failed."),
        **{word: Entry(f"{_HOMES.get(verb, 'operate')}:{word}", f"{SENTENCES[verb]}.") for word, verb in VERBS.items()},
    },
    "Set up": {
        "doctor": Entry("doctor:doctor", "Check that everything is there that sagas need."),
        "completion": Entry("completion:completion", "Print the completion script of a shell."),
    },
}

COMMANDS: Mapping[str, Entry] = {name: entry for section in SECTIONS.values() for name, entry in section.items()}


class LazyGroup(click.Group):
    """A group that imports a command when it is used; click offers only a subclass for that."""

    context_class = NarrowContext

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name].target.partition(":")
        command = getattr(importlib.import_module(f"sagadsl.cli.{module}"), name)
        assert isinstance(command, click.Command)
        return fitted(command)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] not in COMMANDS and not args[0].startswith("-") and not ctx.resilient_parsing:
            from sagadsl.language.suggest import did_you_mean

            hint = did_you_mean(args[0], COMMANDS)
            raise click.UsageError(f"there is no command `{args[0]}`" + (f"; {hint}" if hint else ""), ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        width = max(map(len, COMMANDS))
        for title, entries in SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl([(name.ljust(width), entry.summary) for name, entry in entries.items()])


def _version(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        from importlib.metadata import version  # costs more than all the rest of --help

        click.echo(f"sagadsl {version('sagadsl')}")
        ctx.exit()


@click.group(
    cls=LazyGroup,
    invoke_without_command=True,
    context_settings={
        "help_option_names": ["-h", "--help"],
        "auto_envvar_prefix": "SAGADSL",
        "max_content_width": 100,
    },
    epilog="Every option can also be set by a variable: SAGADSL_VALIDATE_FORMAT=json is `validate --format json`.",
)
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_version, help="Print the version."
)
@common
@click.pass_context
def cli(ctx: click.Context) -> None:
    """Write sagas for Temporal as YAML, check them, run them.

    \b
    Examples:
      sagadsl validate definitions/
      sagadsl run transfer.saga.yaml --input @transfer.json
      sagadsl status transfer-42
    """
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())
