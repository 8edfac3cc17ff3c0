"""Key providers that come with sagadsl: a key that AWS KMS or HashiCorp Vault's transit engine has wrapped.

The setting holds the wrapped key, which is no secret. The service opens it when a process starts. Nothing here decides
which key is used, and no message quotes one.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import ssl
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from sagadsl.errors import reason_of
from sagadsl.plugins.settings import key_meant
from sagadsl.temporal.link.keys import KeyUnusable
from sagadsl.temporal.link.remote_codec import NoRedirects
from sagadsl.trust.loopback import is_loopback

_SECONDS = 10
_LONGEST_ANSWER = 64 * 1024
_OF_KMS = frozenset({"wrapped", "key", "region", "endpoint", "context"})
_OF_VAULT = frozenset({"wrapped", "key", "address", "mount", "namespace", "token_file", "context"})


def aws_kms(id: str, options: Mapping[str, Any]) -> bytes:
    """Return the key that AWS KMS has wrapped. Raises ``KeyUnusable``.

    Args:
        options: ``wrapped``, the ciphertext in base64; and if need be ``key`` (its ARN), ``region``, ``endpoint``, and
            ``context``, the encryption context. Credentials are those of the AWS tools.
    """
    origin = "AWS KMS"
    _check(id, origin, options, _OF_KMS)
    wrapped = _wrapped(id, origin, options)
    try:
        import botocore.exceptions  # noqa: PLC0415 # only who uses it has it
        import botocore.session  # noqa: PLC0415
        from botocore.config import Config  # noqa: PLC0415
    except ModuleNotFoundError:
        reason = "the package `botocore` is not installed; `pip install 'sagadsl[aws]'` brings it"
        raise KeyUnusable(id, origin, reason) from None
    config = Config(connect_timeout=_SECONDS, read_timeout=_SECONDS, retries={"total_max_attempts": 3})
    named = {"KeyId": options["key"]} if "key" in options else {}
    context = {"EncryptionContext": dict(options["context"])} if "context" in options else {}
    try:
        client = botocore.session.get_session().create_client(
            "kms", region_name=options.get("region"), endpoint_url=options.get("endpoint"), config=config
        )
        answer = client.decrypt(CiphertextBlob=wrapped, **named, **context)
    except botocore.exceptions.ClientError as error:
        said = error.response.get("Error", {})
        raise KeyUnusable(id, origin, f"{said.get('Code', 'refused')}: {said.get('Message', '')}"[:300]) from None
    except (botocore.exceptions.BotoCoreError, ValueError) as error:
        raise KeyUnusable(id, origin, str(error)[:300]) from None
    return bytes(answer["Plaintext"])


def vault_transit(id: str, options: Mapping[str, Any]) -> bytes:
    """Return the key that the transit engine of a Vault has wrapped. Raises ``KeyUnusable``.

    Args:
        options: ``wrapped`` (``vault:v1:…``) and ``key``, the name of Vault's key; and if need be ``address``,
            ``mount`` (``transit``), ``namespace``, ``context`` (base64), and ``token_file``. Otherwise ``VAULT_ADDR``,
            ``VAULT_NAMESPACE``, ``VAULT_TOKEN`` and ``VAULT_CACERT`` count, as for the ``vault`` command.
    """
    origin = "Vault transit"
    _check(id, origin, options, _OF_VAULT)
    for needed in ("wrapped", "key"):
        if not isinstance(options.get(needed), str) or not options[needed]:
            raise KeyUnusable(id, origin, f"its table has no `{needed}`")
    address = str(options.get("address") or os.environ.get("VAULT_ADDR", "")).rstrip("/")
    parts = urlsplit(address)
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(parts.hostname or "")):
        reason = f"`{address[:100]}` is no address of a Vault: it begins with https://, but on loopback"
        raise KeyUnusable(id, origin, reason if address else "neither `address` nor VAULT_ADDR says where Vault is")
    namespace = options.get("namespace") or os.environ.get("VAULT_NAMESPACE")
    headers = {"X-Vault-Token": _token(id, origin, options), "X-Vault-Request": "true"}
    headers |= {"X-Vault-Namespace": str(namespace)} if namespace else {}
    body = {"ciphertext": options["wrapped"]} | ({"context": options["context"]} if "context" in options else {})
    mount = str(options.get("mount", "transit")).strip("/")
    url = f"{address}/v1/{quote(mount)}/decrypt/{quote(options['key'], safe='')}"
    request = urllib.request.Request(url, json.dumps(body).encode(), headers, method="POST")
    try:
        opener = urllib.request.build_opener(NoRedirects, urllib.request.HTTPSHandler(context=_trusted()))
        with opener.open(request, timeout=_SECONDS) as answer:
            told = json.loads(answer.read(_LONGEST_ANSWER))
        return base64.b64decode(told["data"]["plaintext"], validate=True)
    except urllib.error.HTTPError as error:
        with error:
            said = _errors(error.read(_LONGEST_ANSWER))
        raise KeyUnusable(id, origin, f"Vault answers {error.code}: {said}") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = getattr(error, "reason", None) or type(error).__name__
        raise KeyUnusable(id, origin, f"Vault at {address} gives no key: {reason}"[:300]) from None


def _check(id: str, origin: str, options: Mapping[str, Any], known: frozenset[str]) -> None:
    if unknown := sorted(options.keys() - known):
        meant = key_meant(unknown[0], sorted(known), f"it may have {', '.join(sorted(known))}")
        raise KeyUnusable(id, origin, f"its table has `{unknown[0]}`; {meant}")


def _wrapped(id: str, origin: str, options: Mapping[str, Any]) -> bytes:
    try:
        return base64.b64decode(options["wrapped"], validate=True)
    except (KeyError, TypeError, binascii.Error, ValueError):
        raise KeyUnusable(id, origin, "`wrapped` of its table is no ciphertext in base64") from None


def _token(id: str, origin: str, options: Mapping[str, Any]) -> str:
    file = options.get("token_file")
    try:
        found = Path(file).read_text("utf-8").strip() if file else os.environ.get("VAULT_TOKEN", "").strip()
    except (OSError, ValueError) as error:
        raise KeyUnusable(id, origin, f"`{file}` cannot be read: {reason_of(error)}") from None
    if not found or not found.isascii() or not found.isprintable():
        raise KeyUnusable(id, origin, "neither `token_file` nor VAULT_TOKEN has a token")
    return found


def _trusted() -> ssl.SSLContext:
    return ssl.create_default_context(cafile=os.environ.get("VAULT_CACERT") or None)


def _errors(raw: bytes) -> str:
    """Return what Vault says; it quotes neither tokens nor keys."""
    try:
        return "; ".join(map(str, json.loads(raw)["errors"]))[:300] or "nothing"
    except (ValueError, KeyError, TypeError):
        return "nothing that can be read"
