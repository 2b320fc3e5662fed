"""Certificates for servers of a test: an authority of its own, and one that nobody was told of."""

from __future__ import annotations

from pathlib import Path

import trustme
from cryptography.hazmat.primitives import serialization

from mdp.local import ports


class Certificates:
    """`authority` (a file) has signed the certificate of the servers, which is good for 127.0.0.1 and nothing else."""

    def __init__(self, folder: Path) -> None:
        ca = trustme.CA()
        issued = ca.issue_cert(ports.HOST)
        self.authority, self.stranger = folder / "ca.pem", folder / "stranger.pem"
        ca.cert_pem.write_to_path(str(self.authority))
        trustme.CA().cert_pem.write_to_path(str(self.stranger))
        self.chain = b"".join(part.bytes() for part in issued.cert_chain_pems).decode()
        self.authority_text = ca.cert_pem.bytes().decode()
        self.key = _as_pkcs8(issued.private_key_pem.bytes())


def _as_pkcs8(key: bytes) -> str:
    """The only form that Kafka reads."""
    loaded = serialization.load_pem_private_key(key, password=None)
    form = serialization.PrivateFormat.PKCS8
    return loaded.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()).decode()
