"""Pulls definitions from an OCI registry: an image built from scratch, or what ``oras push`` has pushed."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from sagadsl.trust.fetching import Remote, body, checked
from sagadsl.trust.logins import HUB, login_for
from sagadsl.trust.loopback import is_loopback
from sagadsl.trust.unpacking import MOST_BYTES, SpaceLeft, UnfitContent, unpack, write_file

if TYPE_CHECKING:
    import httpx2

_MANIFESTS = ("application/vnd.oci.image.manifest.v1+json", "application/vnd.docker.distribution.manifest.v2+json")
_LONGEST_MANIFEST = 4_000_000
_MOST_LAYERS = 1_000
_TITLE, _UNPACK = "org.opencontainers.image.title", "io.deis.oras.content.unpack"
_CHALLENGE = re.compile(r'(\w+)="([^"]*)"')
_DIGEST = re.compile(r"sha256:([0-9a-f]{64})")
_TAG = re.compile(r":[^/:]*\Z")
_LONGEST_CHALLENGE = 4_000


def pull(client: httpx2.Client, wanted: Remote, folder: Path) -> None:
    """Write the files of all layers below *folder*, the first layer first. Raises ``UnfitContent``."""
    place = urlsplit(wanted.place)
    host = "registry-1.docker.io" if place.netloc == HUB else place.netloc
    scheme, path = "http" if is_loopback(place.hostname or "") else "https", _TAG.sub("", place.path)
    base = f"{scheme}://{host}/v2{path}"
    asked = _Asking(client, place.netloc)
    raw = asked.get(f"{base}/manifests/sha256:{wanted.digest}", _LONGEST_MANIFEST, ", ".join(_MANIFESTS))
    room, unpacked = MOST_BYTES, SpaceLeft()
    for layer in _layers(checked(raw, wanted.digest)):
        digest = _digest_of(layer)
        data = checked(asked.get(f"{base}/blobs/sha256:{digest}", room), digest)
        room -= len(data)
        notes = layer.get("annotations")
        notes = notes if isinstance(notes, dict) else {}
        if _TITLE in notes and notes.get(_UNPACK) != "true":
            write_file(str(notes[_TITLE]), data, folder, unpacked)
        else:
            unpack(data, folder, unpacked)


class _Asking:
    """Asks one registry, with what ``docker login`` or ``oras login`` has kept for it."""

    def __init__(self, client: httpx2.Client, host: str) -> None:
        self._client, self._host, self._token = client, host, ""

    def get(self, url: str, most: int, accept: str = "*/*") -> bytes:
        for _ in range(2):
            headers = {"Accept": accept, "Authorization": self._token} if self._token else {"Accept": accept}
            with self._client.stream("GET", url, headers=headers) as response:
                answers = urlsplit(str(response.url))
                is_registry = (answers.scheme, answers.netloc) == urlsplit(url)[:2]  # else it was sent elsewhere
                if response.status_code != 401 or self._token or not is_registry:
                    return body(response, most)
                challenge = response.headers.get("www-authenticate", "")
            self._token = self._answer(challenge)
        raise AssertionError

    def _answer(self, challenge: str) -> str:
        """Return the header that a registry asks for."""
        kind, login = challenge.partition(" ")[0].lower(), login_for(self._host)
        if kind == "basic":
            if not login:
                raise UnfitContent("the registry asks who is there: `docker login` or `oras login` keeps the answer")
            return f"Basic {login}"
        said = dict(_CHALLENGE.findall(challenge[:_LONGEST_CHALLENGE]))
        realm = urlsplit(said.get("realm", ""))
        if kind != "bearer" or not realm.hostname:
            raise UnfitContent(f"the registry asks for `{challenge[:100]}`, which nobody here understands")
        if realm.scheme != "https" and not is_loopback(realm.hostname):
            raise UnfitContent("the registry wants its password to be sent unencrypted")
        questions = [(name, said[name]) for name in ("service", "scope") if name in said]
        asked = realm._replace(query=urlencode([*parse_qsl(realm.query), *questions])).geturl()
        headers = {"Authorization": f"Basic {login}"} if login else {}
        with self._client.stream("GET", asked, headers=headers) as response:
            found = _json(body(response, _LONGEST_MANIFEST))
        token = found.get("token") or found.get("access_token")
        if not isinstance(token, str) or not token.isascii() or not token.isprintable():
            raise UnfitContent(f"{realm.hostname} gives no token")
        return f"Bearer {token}"


def _layers(raw: bytes) -> list[Mapping[str, Any]]:
    manifest = _json(raw)
    if "manifests" in manifest:
        raise UnfitContent("it is the index of several images: name the digest of one of them")
    layers = manifest.get("layers")
    if not isinstance(layers, list) or not all(isinstance(each, dict) for each in layers):
        raise UnfitContent("it is no manifest with layers")
    if len(layers) > _MOST_LAYERS:
        raise UnfitContent(f"it has more than {_MOST_LAYERS:,} layers")
    return layers


def _digest_of(layer: Mapping[str, Any]) -> str:
    if (found := _DIGEST.fullmatch(str(layer.get("digest")))) is None:
        raise UnfitContent(f"a layer has the digest `{str(layer.get('digest'))[:100]}`, which is no SHA-256")
    return found[1]


def _json(raw: bytes) -> dict[str, Any]:
    try:
        found = json.loads(raw)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise UnfitContent("the registry's answer is no JSON object")
    return found
