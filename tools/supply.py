"""Looks at what `requirements.lock` brings: `make sbom`, `make licences`, `make audit`.

Known tools do the work: cyclonedx-py writes and checks the bills of materials, pip-audit asks for advisories, and
license-expression reads licences. What they did not look at is said, and is not taken for fine.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from license_expression import ExpressionError, get_spdx_licensing
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
LOCK, LICENCES = ROOT / "requirements.lock", ROOT / "tools" / "licences.toml"
TOOLS = ROOT / "tools" / "supply.lock"
BILLS = ROOT / "build" / "sbom"
OF_LOCK, INSTALLED = BILLS / "requirements.cdx.json", BILLS / "environment.cdx.json"
OWN = frozenset({"sagadsl", "sagadsl-bank", "sagadsl-shop"})

FOUND, NOT_LOOKED_AT = 1, 3
"""Exit codes: something is wrong; nothing is, as far as anybody has looked."""

_SHOWN = 10
_SPDX = get_spdx_licensing()


class ToolFailed(Exception):
    """A tool gave no answer; the message is what it said last."""


def locked(text: str) -> dict[str, str]:
    """Return the packages of a lock file with their versions. Raises ``ValueError`` for one without a hash."""
    found: dict[str, str] = {}
    for entry in re.split(r"\n(?=\S)", text):
        if pinned := re.match(r"([A-Za-z0-9._-]+)==(\S+)", entry):
            if "--hash=sha256:" not in entry:
                raise ValueError(f"{pinned[1]} has no hash")
            found[canonicalize_name(pinned[1])] = pinned[2]
    return found


def sbom() -> int:
    """Write the bill of what is locked, with its hashes, and of what is installed, with its licences."""
    BILLS.mkdir(parents=True, exist_ok=True)
    for kind, of, to in (("requirements", str(LOCK), OF_LOCK), ("environment", sys.prefix, INSTALLED)):
        # `--validate` holds the result against the schema of CycloneDX
        options = ("--output-reproducible", "--of", "JSON", "--sv", "1.6", "--validate", "-o", str(to))
        _ran("cyclonedx-py", kind, of, *options)
    number = len(json.loads(OF_LOCK.read_text("utf-8"))["components"])
    print(f"{_named(OF_LOCK)}: CycloneDX 1.6, {number} packages with their hashes")
    print(f"{_named(INSTALLED)}: the same as installed here, with their licences")
    return 0


def licences() -> int:
    """Hold what the installed packages say of their licences against the list."""
    if not INSTALLED.exists():
        sbom()
    return judge_licences(
        json.loads(INSTALLED.read_text("utf-8")),
        tomllib.loads(LICENCES.read_text("utf-8")),
        locked(LOCK.read_text("utf-8")),
    )


def judge_licences(bill: Mapping[str, Any], rules: Mapping[str, Any], wanted: Mapping[str, str]) -> int:
    """Print what is wrong with the licences of a bill, and what it does not have; return the exit code."""
    said = {canonicalize_name(each["name"]): list(_licences(each)) for each in bill["components"]}
    looked_at, allowed = rules["looked_at"], frozenset(rules["allowed"])
    wrong = []
    for name in sorted((said.keys() | looked_at.keys()) - OWN):
        if name in looked_at:
            if name not in wanted:
                wrong.append(f"{name} is in {LICENCES.name}, and not in {LOCK.name} any more: take it out")
            elif name in said and said[name] != looked_at[name]["says"]:
                now = ", ".join(said[name]) or "nothing"
                wrong.append(f"{name} says something else than when somebody looked: {now}")
        elif not said[name]:
            wrong.append(f"{name} names no licence")
        else:
            wrong += [f"{name} is under {each}" for each in said[name] if not is_allowed(each, allowed)]
    for each in wrong:
        print(f"error: {each}", file=sys.stderr)
    if wrong:
        print(f"look at it, then say so in {_named(LICENCES)}", file=sys.stderr)
    print(f"licences of {len(said.keys() - OWN)} packages: {len(wrong)} that nobody has allowed")
    if absent := sorted(wanted.keys() - said.keys()):
        print(f"NOT LOOKED AT: {_some(absent)}; they are for other systems, and not installed here")
    return FOUND if wrong else 0


def is_allowed(licence: str, allowed: frozenset[str]) -> bool:
    """Whether a licence, or an SPDX expression, asks for nothing beyond what is *allowed*."""
    if licence in allowed:
        return True
    try:
        parsed = _SPDX.parse(licence, validate=True)
    except (ExpressionError, ValueError, AttributeError):
        return False

    def fits(part: Any) -> bool:
        arguments = getattr(part, "args", ())
        if not arguments or hasattr(part, "license_symbol"):  # with an exception, it is another licence
            return str(part) in allowed
        return (any if type(part).__name__ == "OR" else all)(map(fits, arguments))

    return parsed is not None and fits(parsed)


def audit(*, may_be_unchecked: bool) -> int:
    """Ask for advisories about each package of the lock."""
    command = ("pip-audit", "--require-hashes", "--disable-pip", "--progress-spinner", "off", "-r", str(LOCK))
    try:
        report = json.loads(_ran(*command, "-f", "json", codes=(0, 1)))
    except (ToolFailed, ValueError) as error:
        report = {
            "dependencies": [{"name": name, "skip_reason": str(error)} for name in locked(LOCK.read_text("utf-8"))]
        }
    code = judge_advisories(report, locked(LOCK.read_text("utf-8")))
    return 0 if code == NOT_LOOKED_AT and may_be_unchecked else code


def judge_advisories(report: Mapping[str, Any], wanted: Mapping[str, str]) -> int:
    """Print the advisories of a report, and what was not asked; return the exit code.

    pip-audit itself ends well with "No known vulnerabilities found" when its index knows no package at all.
    """
    entries = {canonicalize_name(each["name"]): each for each in report["dependencies"]}
    open_ = [(name, found) for name, each in sorted(entries.items()) for found in each.get("vulns", ())]
    for name, found in open_:
        fixed = ", ".join(found.get("fix_versions", ())) or "no version"
        print(f"error: {name} {entries[name]['version']}: {found['id']}, fixed in {fixed}", file=sys.stderr)
    skipped: dict[str, str] = {name: each["skip_reason"] for name, each in entries.items() if "skip_reason" in each}
    skipped |= dict.fromkeys(wanted.keys() - entries.keys(), "it is for other systems")
    print(f"advisories: {len(open_)} about the {len(entries.keys() - skipped.keys())} packages that were asked for")
    if skipped:
        first = min(skipped)
        print(f"NOT CHECKED: {len(skipped)} of {len(wanted)} packages: {_some(sorted(skipped))}")
        print(f"  {first}: {skipped[first]}")
    return FOUND if open_ else NOT_LOOKED_AT if skipped else 0


def _licences(component: Mapping[str, Any]) -> Iterator[str]:
    for each in component.get("licenses", ()):
        licence = each.get("license", {})
        yield each.get("expression") or licence.get("id") or licence.get("name", "")


def _some(names: list[str]) -> str:
    more = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {more} more" if more > 0 else "")


def _named(path: Path) -> str:
    return str(path.relative_to(ROOT))


def _ran(*words: str, codes: tuple[int, ...] = (0,)) -> str:
    """Return what a tool of the environment prints. Raises ``ToolFailed``."""
    program = str(_tools() / words[0])
    ended = subprocess.run([program, *words[1:]], capture_output=True, text=True, check=False)
    if ended.returncode not in codes or (not ended.stdout and "json" in words):
        said = ended.stderr.strip().splitlines()
        raise ToolFailed(f"{words[0]} ended with code {ended.returncode}: {said[-1][:300] if said else 'no word'}")
    return ended.stdout


def _tools() -> Path:
    """Return where the tools are, in an environment of their own that has what `tools/supply.lock` names."""
    folder = BILLS.with_name("supply")
    bin_, marker, wanted = folder / "bin", folder / ".ready", TOOLS.read_text("utf-8")
    if not marker.exists() or marker.read_text("utf-8") != wanted:
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        options = ("--quiet", "--disable-pip-version-check", "--require-hashes", "-r", str(TOOLS))
        subprocess.run([str(bin_ / "python"), "-m", "pip", "install", *options], check=True)
        marker.write_text(wanted, "utf-8")
    return bin_


def main(what: str, *options: str) -> int:
    """Do one of the three; ``--unchecked-ok`` lets an audit end well that could not ask."""
    try:
        match what:
            case "sbom":
                return sbom()
            case "licences":
                return licences()
            case "audit":
                return audit(may_be_unchecked="--unchecked-ok" in options)
    except (ToolFailed, ValueError, subprocess.CalledProcessError) as error:
        print(f"error: {error}", file=sys.stderr)
        return FOUND
    print("usage: python -m tools.supply sbom|licences|audit [--unchecked-ok]", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
