"""Checks a package of activities for its author, before anybody installs it."""

from __future__ import annotations

from typing import Any

from sagadsl.immutable import Immutable
from sagadsl.language.analysis.known import Signature
from sagadsl.language.notation import durations
from sagadsl.language.schema.validator import validator
from sagadsl.plugins.catalogue import Catalogue, Plugin
from sagadsl.plugins.problems import PluginConflict


class Report(Immutable):
    """The findings about one activity: with ``errors`` it does not work, with ``warnings`` it is harder to use."""

    name: str
    errors: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def examine(catalogue: Catalogue, distribution: str) -> tuple[Report, ...]:
    """Import and check every activity of one distribution."""
    offers = [offer for offer in catalogue.offers if offer.distribution == distribution]
    packages = {offer.package for offer in offers}
    plugins = [plugin for plugin in catalogue.load_all() if plugin.package in packages]
    reports = [_examine(catalogue, plugin) for plugin in plugins]
    reported = {report.name for report in reports}
    for problem in catalogue.problems:
        owners = problem.owners if isinstance(problem, PluginConflict) else (getattr(problem, "package", ""),)
        if problem.name not in reported and any(owner.startswith(tuple(packages)) for owner in owners):
            reports.append(Report(problem.name, (str(problem),)))
    return tuple(sorted(reports, key=lambda report: report.name))


def _examine(catalogue: Catalogue, plugin: Plugin) -> Report:
    signature = catalogue.signature(plugin.name)
    if not isinstance(signature, Signature):
        return Report(plugin.name, (str(signature),))
    errors: list[str] = []
    warnings: list[str] = []
    for name, text in signature.timeouts.items():
        try:
            durations.parse(text)
        except durations.NotADuration as error:
            errors.append(f"timeout `{name}`: {error}")
    for index, example in enumerate(signature.examples):
        errors += [f"example {index + 1} does not fit its own input: {text}" for text in _misfits(example, signature)]
    if signature.compensated_by and not isinstance(catalogue.signature(signature.compensated_by), Signature):
        errors.append(f"it names `{signature.compensated_by}` to undo it, but no such activity works")
    if not signature.description:
        warnings.append("it has no docstring, so that nobody knows what it does")
    if signature.input_schema is None:
        warnings.append("its input has no types, so that nothing can be checked before it runs")
    return Report(plugin.name, tuple(errors), tuple(warnings))


def _misfits(example: Any, signature: Signature) -> list[str]:
    schema = signature.input_schema if signature.input_schema is not None else True
    return [error.message for error in validator(schema, formats=False).iter_errors(example)]
