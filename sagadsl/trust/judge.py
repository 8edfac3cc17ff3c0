"""Which definitions a worker or a gateway takes: those that a trusted key has signed, and those on a list."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from sagadsl.errors import SagadslError
from sagadsl.language.build import digest
from sagadsl.trust.signatures import NO_SIGNATURES, Signatures, raw_signature, statement

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

Data = Mapping[str, Any]
_SHOWN = 200


class Untrusted(SagadslError):
    """Definitions that nobody trusted has signed; nothing of them runs."""

    code: ClassVar[str] = "SD991"
    exit_code: ClassVar[int] = 3

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__(problems)
        self.problems = problems

    def __str__(self) -> str:
        return "; ".join(self.problems)

    @property
    def help(self) -> str:
        return "`sagadsl sign FILE --key KEYFILE` signs what is in the file now; `sagadsl verify FILE` looks"


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
        for each in definitions:
            if not self.takes(each, signatures):
                return self._words(str(each.get("name", ""))[:_SHOWN], digest(each), signatures)
        return ""

    def check(self, definitions: Iterable[Data], signatures: Signatures = NO_SIGNATURES) -> None:
        """Raise ``Untrusted`` with each of *definitions* that may not run."""
        if problems := tuple(filter(None, (self.why_not((each,), signatures) for each in definitions))):
            raise Untrusted(tuple(dict.fromkeys(problems)))

    def _words(self, name: str, digest: str, signatures: Signatures) -> str:
        what = f"definition `{name}` with the digest {digest}"
        signers = signatures.get(digest, {})
        if trusted := [each for each in signers if each in self._keys]:
            return f"{what} has a wrong signature of key {trusted[0][:_SHOWN]}, or keys in another order"
        known = f"; trusted is {', '.join(self.keys)}" if self._keys else ""
        if not self._keys and self._digests:
            return f"{what} is not on the list of allowed digests"
        if signers:
            return f"{what} is signed by key {next(iter(signers))[:_SHOWN]}, which is not trusted{known}"
        return f"{what} has no signature of a trusted key{known}"
