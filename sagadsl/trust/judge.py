"""Which definitions a worker or a gateway takes: those that a trusted key has signed, and those on a list."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, ClassVar

from sagadsl.errors import SagadslError
from sagadsl.immutable import Immutable
from sagadsl.language.build import digest
from sagadsl.trust.signatures import NO_SIGNATURES, Signatures, SignedFile, beside, raw_signature, statement

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

Data = Mapping[str, Any]
_SHOWN = 200


_SIGNS = "`sagadsl sign FILE --key KEYFILE` signs what is in the file now; `sagadsl verify FILE` looks"


class Doubt(Immutable):
    """Why a definition may not run, and what to do about it."""

    why: str
    help: str = _SIGNS


class Untrusted(SagadslError):
    """Definitions that nobody trusted has signed; nothing of them runs."""

    code: ClassVar[str] = "SD991"
    exit_code: ClassVar[int] = 3

    def __init__(self, problems: tuple[str, ...], advice: tuple[str, ...] = ()) -> None:
        super().__init__(problems, advice)
        self.problems, self.advice = problems, advice

    def __str__(self) -> str:
        return "; ".join(self.problems)

    @property
    def help(self) -> str:
        return "; ".join(self.advice or (_SIGNS,))


class Trust:
    """The keys whose signatures count, by their ids, and the digests that need none. It never changes."""

    def __init__(self, keys: Mapping[str, Ed25519PublicKey], digests: Iterable[str] = ()) -> None:
        self._keys, self._digests = dict(keys), frozenset(digests)

    @property
    def keys(self) -> tuple[str, ...]:
        return tuple(self._keys)

    def who_signed(self, definition: Data, signatures: Signatures) -> str:
        """Return the trusted key that has signed a definition; empty if none has."""
        from cryptography.exceptions import InvalidSignature  # noqa: PLC0415 # an extra: whoever has a key has it

        for id_, text in signatures.get(digest(definition), {}).items():
            if (key := self._keys.get(id_)) is not None:
                try:
                    key.verify(raw_signature(text), statement(definition))
                except InvalidSignature:
                    continue
                return id_
        return ""

    def takes(self, definition: Data, signatures: Signatures) -> bool:
        """Whether a definition may run."""
        return digest(definition) in self._digests or bool(self._keys and self.who_signed(definition, signatures))

    def why_not(self, definitions: Iterable[Data], signatures: Signatures = NO_SIGNATURES) -> str:
        """Return what is wrong with the first of *definitions* that may not run; empty if all may."""
        doubts = (self.doubt(each, signatures) for each in definitions)
        return next((each.why for each in doubts if each is not None), "")

    def check(
        self, definitions: Iterable[Data], signatures: Signatures = NO_SIGNATURES, files: Iterable[SignedFile] = ()
    ) -> None:
        """Raise ``Untrusted`` with each of *definitions* that may not run.

        Args:
            files: The file of each definition, as far as they have any.
        """
        pairs = zip_longest(definitions, files)
        doubts = [found for each, file in pairs if (found := self.doubt(each, signatures, file)) is not None]
        if doubts:
            raise Untrusted(
                tuple(dict.fromkeys(each.why for each in doubts)), tuple(dict.fromkeys(each.help for each in doubts))
            )

    def doubt(self, definition: Data, signatures: Signatures, file: SignedFile | None = None) -> Doubt | None:
        """Return why a definition may not run; ``None`` if it may.

        Args:
            file: The file that it comes from, if it comes from one.
        """
        if self.takes(definition, signatures):
            return None
        name, found = str(definition.get("name", ""))[:_SHOWN], digest(definition)
        what = f"definition `{name}` with the digest {found}"
        signers = signatures.get(found, {})
        if trusted := [each for each in signers if each in self._keys]:
            return Doubt(f"{what} has a wrong signature of key {trusted[0][:_SHOWN]}, or keys in another order")
        if not self._keys and self._digests:
            return Doubt(f"{what} is not on the list of allowed digests", "look at it, and add its digest to the list")
        known = f"; trusted is {', '.join(self.keys)}" if self._keys else ""
        if signers:
            return Doubt(
                f"{what} is signed by key {next(iter(signers))[:_SHOWN]}, which is not trusted{known}",
                "let the owner of a trusted key look at it and sign it, or trust that key (`--trusted-key`, `[trust]`)",
            )
        if file is None:
            return Doubt(f"{what} has no signature of a trusted key{known}")
        return _unsigned(what, name, file, known)


def _unsigned(what: str, name: str, file: SignedFile, known: str) -> Doubt:
    """Return what is wrong with a definition of which no signature lies beside its file."""
    place = beside(file.name)
    if not file.signatures:
        return Doubt(f"{what} is not signed: there is no signature in `{place}`{known}")
    if others := [each.digest for each in file.signatures if each.saga == name]:
        return Doubt(
            f"{what} is not what was signed: `{place}` signs the digest {others[-1][:_SHOWN]} of it{known}",
            "it was changed since, perhaps in a file that it imports: look at the change, and sign again "
            "(`sagadsl sign FILE --key KEYFILE`)",
        )
    return Doubt(f"{what} is not signed: `{place}` signs other sagas only{known}")
