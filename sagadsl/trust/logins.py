"""The login for a registry that `docker login` or `oras login` has kept: in a file, or with a helper.

A helper is a program ``docker-credential-NAME``: it reads the registry on its standard input and prints an object with
``Username`` and ``Secret`` (https://github.com/docker/docker-credential-helpers).
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sagadsl.trust.unpacking import UnfitContent

HUB = "docker.io"
_HELPER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_HELPER_SECONDS = 30.0
_IDENTITY_TOKEN = "<token>"  # what a helper says in place of a user's name
_HAS_NONE = b"credentials not found"


def login_for(host: str) -> str:
    """Return the login for a host as `Basic` takes it, in base64; empty if none is kept.

    The helper of this host is asked first, then the file, then the helper for all hosts. Raises ``UnfitContent``
    if a helper fails.
    """
    kept = _kept()
    names = ("https://index.docker.io/v1/", host) if host == HUB else (host, f"https://{host}")
    own = _mapping(kept.get("credHelpers"))
    if helper := next((own[name] for name in names if name in own), ""):  # an empty one: this host's is in the file
        return _asked(helper, names[0])
    auths = _mapping(kept.get("auths"))
    for name in names:
        if found := _base64(_mapping(auths.get(name)).get("auth")):
            return found
    helper = kept.get("credsStore")
    return _asked(helper, names[0]) if helper else ""


def _kept() -> Mapping[str, Any]:
    folder = os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker"
    try:
        return _mapping(json.loads((Path(folder) / "config.json").read_text(encoding="utf-8")))
    except (OSError, ValueError, RecursionError):
        return {}


def _asked(helper: Any, server: str) -> str:
    """Return what a helper keeps for a registry; empty if it says that it has nothing."""
    if not isinstance(helper, str) or not _HELPER.fullmatch(helper):
        raise UnfitContent(
            f"docker's config.json names the helper `{str(helper)[:100]}`, which is no name of a program"
        )
    program = f"docker-credential-{helper}"
    try:
        ended = subprocess.run(
            [program, "get"], input=server.encode(), capture_output=True, timeout=_HELPER_SECONDS, check=False
        )
    except OSError as error:
        raise UnfitContent(f"`{program}`, which docker's config.json names, cannot be run: {error.strerror}") from None
    except subprocess.TimeoutExpired:
        raise UnfitContent(f"`{program}` gave no login within {_HELPER_SECONDS:.0f} seconds") from None
    if ended.returncode:
        if _HAS_NONE in ended.stdout + ended.stderr:
            return ""
        raise UnfitContent(f"`{program} get` ended with code {ended.returncode}; run it by hand to see why")
    try:
        found = _mapping(json.loads(ended.stdout))
    except (ValueError, RecursionError):
        found = {}
    user, secret = found.get("Username"), found.get("Secret")
    if not isinstance(user, str) or not isinstance(secret, str):
        raise UnfitContent(f"`{program} get` printed no login")
    if user == _IDENTITY_TOKEN:
        raise UnfitContent(f"`{program}` keeps an identity token, which is not supported: log in with a password")
    try:
        return base64.b64encode(f"{user}:{secret}".encode()).decode()
    except UnicodeEncodeError:
        raise UnfitContent(f"`{program} get` printed no login") from None


def _mapping(found: Any) -> Mapping[str, Any]:
    return found if isinstance(found, dict) else {}


def _base64(found: Any) -> str:
    try:
        base64.b64decode(found, validate=True)
    except (TypeError, ValueError, binascii.Error):
        return ""
    return str(found)
