"""Definitions from elsewhere, by their digest: an OCI registry, an https address, a bucket.

The digest is part of the address, and is compared before anything that has come is looked into. So it does not matter
who has answered; only how much they sent, which has a bound.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urlsplit

from sagadsl.errors import NeedsExtra, SagadslError
from sagadsl.immutable import Immutable
from sagadsl.language.loaded import SUFFIXES
from sagadsl.trust.loopback import is_loopback
from sagadsl.trust.unpacking import MOST_BYTES, SpaceLeft, UnfitContent, unpack, write_file

if TYPE_CHECKING:
    import httpx2

_SCHEMES = ("oci://", "https://", "http://", "s3://")
_MARKS = re.compile(r"@sha256|#")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_ARCHIVES = (".tar", ".tar.gz", ".tgz")
_SECONDS = 30.0


class NotFetched(SagadslError):
    """Definitions cannot be had from where an address says."""

    code: ClassVar[str] = "SD993"
    exit_code: ClassVar[int] = 3

    def __init__(self, address: str, reason: str, remedy: str = "") -> None:
        super().__init__(address, reason, remedy)
        self.address, self.reason, self.remedy = address, reason, remedy

    def __str__(self) -> str:
        return f"definitions of `{self.address}` cannot be used: {self.reason}"

    @property
    def help(self) -> str:
        return self.remedy


class Remote(Immutable):
    """An address with its digest.

    Attributes:
        written: As somebody wrote it, without a password that may be in it.
        place: Without the digest.
        digest: SHA-256 in hexadecimal: of the manifest in a registry, of the file elsewhere.
    """

    written: str
    place: str
    digest: str

    @property
    def name(self) -> str:
        """The name of the file that is fetched."""
        return PurePosixPath(urlsplit(self.place).path).name


def is_remote(text: str) -> bool:
    """Whether a path of a command is an address from which definitions are fetched."""
    return text.startswith(_SCHEMES)


def remote(text: str) -> Remote:
    """Read an address. Raises ``NotFetched`` for one without a digest, or without a place."""
    mark = "@sha256:" if text.startswith("oci://") else "#sha256="
    place, _, digest = text.rpartition(mark)
    shown = re.sub(r"//[^/@]*@(?!sha256:)", "//***@", text)
    if not _DIGEST.fullmatch(digest):
        example = f"{_MARKS.split(shown)[0]}{mark}…"
        raise NotFetched(shown, "it names no digest, so it could be anything", f"write `{example}` with 64 digits")
    parts = urlsplit(place)
    if not parts.hostname or not parts.path.strip("/") or shown != text:
        raise NotFetched(shown, "it is no address of a host and a path, without a password")
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        raise NotFetched(shown, "it is not encrypted", "write https; http is for this machine alone")
    return Remote(text, place, digest)


def fetch(text: str, folder: Path) -> None:
    """Write what an address has below *folder*. Raises ``NotFetched``, ``NeedsExtra``."""
    wanted = remote(text)
    try:
        if text.startswith("oci://"):
            from sagadsl.trust.registry import pull  # noqa: PLC0415 # it needs an extra

            with asking(wanted) as client:
                pull(client, wanted, folder)
        elif text.startswith("s3://"):
            _place(wanted, _object(wanted), folder)
        else:
            with asking(wanted) as client, client.stream("GET", wanted.place) as response:
                _place(wanted, body(response), folder)
    except UnfitContent as error:
        raise NotFetched(wanted.written, str(error)) from None
    if not any(each.name.endswith(SUFFIXES) for each in folder.rglob("*")):
        raise NotFetched(wanted.written, f"there is no file `*{SUFFIXES[0]}` in it")


def checked(data: bytes, digest: str) -> bytes:
    """Return *data* if it has this digest. Raises ``UnfitContent``."""
    found = hashlib.sha256(data).hexdigest()
    if not hmac.compare_digest(found, digest):
        raise UnfitContent(
            f"what has come has the digest sha256:{found}, and not sha256:{digest}: nothing of it was read"
        )
    return data


def body(response: httpx2.Response, most: int = MOST_BYTES) -> bytes:
    """Return the body of an answer, as it was sent. Raises ``UnfitContent`` for one that is no success or too long."""
    if response.status_code != 200:
        raise UnfitContent(f"{response.request.url.host} answers with {response.status_code}")
    return joined(response.iter_raw(), most)


def joined(chunks: Iterable[bytes], most: int = MOST_BYTES) -> bytes:
    """Return chunks as one, if they are no more than *most* bytes. Raises ``UnfitContent``."""
    found = bytearray()
    for each in chunks:
        found += each
        if len(found) > most:
            raise UnfitContent(f"it has more than {most:,} bytes")
    return bytes(found)


@contextmanager
def asking(wanted: Remote) -> Iterator[httpx2.Client]:
    """Give a client for one address; what goes wrong on the way is raised as ``NotFetched``."""
    try:
        import httpx2  # noqa: PLC0415 # an extra
    except ModuleNotFoundError as error:
        raise NeedsExtra(error.name or str(error), "http") from None
    # Registries send to their storage. The library takes no header of ours along to another host.
    headers = {"Accept-Encoding": "identity"}
    try:
        with httpx2.Client(follow_redirects=True, timeout=_SECONDS, headers=headers) as client:
            yield client
    except httpx2.HTTPError as error:
        raise NotFetched(wanted.written, str(error) or type(error).__name__) from None


def _place(wanted: Remote, data: bytes, folder: Path) -> None:
    known = checked(data, wanted.digest)
    if wanted.name.endswith(_ARCHIVES):
        unpack(known, folder, SpaceLeft())
    elif wanted.name.endswith(SUFFIXES):
        write_file(wanted.name, known, folder, SpaceLeft())
    else:
        raise UnfitContent(
            f"`{wanted.name}` is neither a definition nor an archive: {', '.join((*SUFFIXES, *_ARCHIVES))}"
        )


def _object(wanted: Remote) -> bytes:
    """Return an object of a bucket, by the credentials that the AWS tools find."""
    try:
        import botocore.session  # noqa: PLC0415 # an extra
        from botocore.config import Config  # noqa: PLC0415
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise NeedsExtra(error.name or str(error), "aws") from None
    parts = urlsplit(wanted.place)
    config = Config(connect_timeout=_SECONDS, read_timeout=_SECONDS, retries={"total_max_attempts": 3})
    try:
        client: Any = botocore.session.get_session().create_client("s3", config=config)
        found = client.get_object(Bucket=parts.netloc, Key=parts.path.lstrip("/"))["Body"]
        return joined(found.iter_chunks(64 * 1024))
    except (BotoCoreError, ClientError, ValueError) as error:
        raise NotFetched(wanted.written, str(error)) from None
