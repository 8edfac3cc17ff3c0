"""Make the virtual environment from the lock file. `make setup` runs this with whatever Python there is.

It uses the standard library alone, and nothing that Python 3.6 cannot read: who has an old one is told so.
The marker is written last, and removed first: what was begun and not finished is made anew by the next `make`.
"""

import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

OLDEST = (3, 11)
NEWER = ("python3.14", "python3.13", "python3.12", "python3.11")
LOCK = Path("requirements.lock")
LOG = Path("build", "setup.log")
CAUSES = (
    ("No space left on device", "the disk is full"),
    ("DO NOT MATCH THE HASHES", f"the package index has another file than the one that {LOCK} names"),
    ("CERTIFICATE_VERIFY_FAILED", "the certificate of the package index is not trusted here"),
    (
        "name resolution|Name or service not known|nodename nor servname|getaddrinfo",
        "no network: its host is not found",
    ),
    ("Connection refused|unreachable|timed out|ProxyError|reset by peer", "no network: its host does not answer"),
)
"""What pip says somewhere in many lines, and what it means."""


class Failed(Exception):
    """Setup cannot go on; the message says why, and what to do."""


def main(folder: str, *local: str) -> int:
    """Make the environment in *folder*, with the packages of the lock file and those in the folders *local*."""
    try:
        _check_python()
        _make(Path(folder), local)
    except Failed as failed:
        print(f"error: {failed}", file=sys.stderr)
        return 1
    return 0


def _check_python() -> None:
    name = Path(sys.executable).name
    if sys.version_info < OLDEST:
        newer = next(filter(shutil.which, NEWER), None)
        found, wanted = ".".join(map(str, sys.version_info[:3])), ".".join(map(str, OLDEST))
        remedy = f"`make setup PYTHON={newer}`" if newer else "install one, then `make setup PYTHON=python3.12`"
        raise Failed(f"{name} is {found}; sagadsl needs {wanted} or later: {remedy}")
    try:
        import ensurepip  # noqa: F401, PLC0415
        import venv  # noqa: F401, PLC0415
    except ImportError as error:
        raise Failed(f"{name} makes no virtual environments ({error}): `apt-get install python3-venv`") from None


def _make(venv: Path, local: "tuple[str, ...]") -> None:
    marker, here = venv / ".ready", str(Path.cwd() / venv)
    is_whole = marker.exists() and marker.read_text() == here and (venv / "bin" / "python").exists()
    if marker.exists():
        marker.unlink()
    count = len(re.findall(r"^\S+==", LOCK.read_text(), re.MULTILINE))
    print(f"installing {count} packages into {venv}; the first time takes minutes", flush=True)
    begun = time.monotonic()
    if not is_whole:
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(venv)], check=True)
    LOG.parent.mkdir(exist_ok=True)
    LOG.write_text("")
    _install(venv, count, "--require-hashes", "-r", str(LOCK))
    if local:
        _install(venv, 0, "--no-deps", "--no-build-isolation", *(word for each in local for word in ("-e", each)))
    marker.write_text(here)
    print(f"installed in {time.monotonic() - begun:.0f} s", flush=True)


def _install(venv: Path, count: int, *what: str) -> None:
    """Let pip install, and tell on a terminal how far it is."""
    options = ("--disable-pip-version-check", "--no-input", "--progress-bar", "off")
    command = [str(venv / "bin" / "python"), "-m", "pip", "install", *options, *what]
    said, at, number = "", "", 0
    pip = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True)
    assert pip.stdout is not None
    for line in pip.stdout:
        said += line
        found = re.match(r"Collecting (\S+)|(Installing) collected packages", line)
        if found:
            number += bool(found.group(1))
            at = found.group(1) or at
            _show(f"  {number} of {count}: {at}" if found.group(1) else "  unpacking")
    _show("")
    with LOG.open("a") as log:
        log.write(said)
    if pip.wait():
        raise Failed(_why(said, at))


def _show(text: str) -> None:
    if sys.stdout.isatty():
        print(f"\r\033[K{text}", end="", flush=True)


def _why(said: str, at: str) -> str:
    """Return in one line what pip could not do."""
    cause = next((meaning for words, meaning in CAUSES if re.search(words, said)), None)
    errors = re.findall(r"^ERROR: (.+)$", said, re.MULTILINE)
    reason = cause or (errors[-1] if errors else "pip failed")
    named = re.search(r"No matching distribution found for (\S+)", said)
    what = named.group(1) if named else at or "what is needed"
    return f"{what} could not be installed from the package index ({reason}); all that pip said: {LOG}"


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
