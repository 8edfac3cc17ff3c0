"""Certificates and API keys for tests, as an authority and an identity provider of a company would make them."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

SERVER_NAME = "temporal.example"
"""In the server's certificate, beside no address: clients have to say the name."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate and its key, as files."""

    cert: Path
    key: Path

    def replace(self, other: Pair) -> None:
        """Put another pair in the place of this one, each file in one move, as a renewer of certificates does."""
        for old, new in ((self.cert, other.cert), (self.key, other.key)):
            beside = old.with_suffix(".new")
            beside.write_bytes(new.read_bytes())
            os.replace(beside, old)


class Authority:
    """An authority that signs certificates, in a folder."""

    def __init__(self, folder: Path, name: str = "authority") -> None:
        self.folder, self.name = folder, name
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._called = _called(name)
        built = _begun(self._called, self._called, self._key, timedelta(days=1))
        built = built.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        built = built.add_extension(x509.SubjectKeyIdentifier.from_public_key(self._key.public_key()), critical=False)
        self._signed = built.sign(self._key, hashes.SHA256())
        self.file = folder / f"{name}.pem"
        self.file.write_bytes(self._signed.public_bytes(serialization.Encoding.PEM))

    def pair(self, name: str, *hosts: str, lasts: timedelta = timedelta(hours=1)) -> Pair:
        """Return a new certificate for *hosts*; one whose time is over has a negative *lasts*."""
        key = ec.generate_private_key(ec.SECP256R1())
        built = _begun(_called(name), self._called, key, lasts)
        if hosts:
            built = built.add_extension(x509.SubjectAlternativeName([_host(each) for each in hosts]), critical=False)
        identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        signed = built.add_extension(identifier, critical=False).sign(self._key, hashes.SHA256())
        pair = Pair(self.folder / f"{name}.pem", self.folder / f"{name}.key")
        pair.cert.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
        pem = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        pair.key.write_bytes(key.private_bytes(*pem))
        return pair


class Provider:
    """An identity provider whose signed tokens are the API keys of a server; the server reads its file each second."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "keys.json"
        self._keys: dict[str, ec.EllipticCurvePrivateKey] = {}
        self.renew()

    def renew(self) -> None:
        """Sign with a new key from now on; tokens of the earlier ones stay valid."""
        self._keys[str(len(self._keys))] = ec.generate_private_key(ec.SECP256R1())
        self._publish()

    def forget(self) -> None:
        """Let the tokens of all keys but the newest be worth nothing."""
        newest = next(reversed(self._keys))
        self._keys = {newest: self._keys[newest]}
        self._publish()

    def api_key(
        self, permissions: Sequence[str] = ("temporal-system:admin",), lasts: timedelta = timedelta(hours=1)
    ) -> str:
        """Return a key with these permissions; one whose time is over has a negative *lasts*."""
        claims: dict[str, Any] = {"sub": "tests", "permissions": list(permissions), "exp": datetime.now(UTC) + lasts}
        name = next(reversed(self._keys))
        return jwt.encode(claims, self._keys[name], algorithm="ES256", headers={"kid": name})

    def _publish(self) -> None:
        beside = self.file.with_suffix(".new")
        beside.write_text(json.dumps({"keys": [_published(*each) for each in self._keys.items()]}))
        os.replace(beside, self.file)


def _published(name: str, key: ec.EllipticCurvePrivateKey) -> dict[str, str]:
    numbers = key.public_key().public_numbers()
    known = {"kty": "EC", "crv": "P-256", "kid": name, "alg": "ES256", "use": "sig"}
    return {**known, "x": _written(numbers.x), "y": _written(numbers.y)}


def _begun(
    name: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, lasts: timedelta
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    built = x509.CertificateBuilder(issuer, name, key.public_key(), x509.random_serial_number())
    return built.not_valid_before(now - timedelta(days=2)).not_valid_after(now + lasts)


def _called(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _host(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(text))
    except ValueError:
        return x509.DNSName(text)


def _written(number: int) -> str:
    return base64.urlsafe_b64encode(number.to_bytes(32, "big")).rstrip(b"=").decode()
