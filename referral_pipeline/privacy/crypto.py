"""Keyed hashes and encryption of what must be kept but not read.

Belongs here: the two primitives and their key handling. Does not belong here: what is hashed or encrypted, and where it
is kept. The keys come from the environment (`settings`), never from a file of the project.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable

from cryptography.fernet import Fernet, InvalidToken, MultiFernet


class CryptoError(Exception):
    """A key is unusable, or a text cannot be opened with the keys at hand. Never shows key or text."""


def keyed_hash(value: str, key: bytes | str) -> str:
    """HMAC-SHA256 of a canonical value, 64 hexadecimal digits.

    The same value and key always give the same hash, so hashes can be compared and indexed; without the key nobody can
    try out addresses or phone numbers against them.

    Raises:
        CryptoError: when the key is empty, which would make it a plain hash.
    """
    secret = key.encode() if isinstance(key, str) else key
    if not secret:
        raise CryptoError("the hash key is empty: set REFERRAL_PIPELINE_HASH_KEY to a long random text")
    return hmac.new(secret, value.encode(), hashlib.sha256).hexdigest()


class Cipher:
    """Authenticated encryption (Fernet) with rotation: the first key encrypts, every key decrypts."""

    def __init__(self, keys: str | Iterable[str]) -> None:
        """Take Fernet keys, newest first, as a list or as the comma separated text of REFERRAL_PIPELINE_KEY.

        Raises:
            CryptoError: when there is no key, or one is not a Fernet key.
        """
        texts = keys.split(",") if isinstance(keys, str) else list(keys)
        texts = [text.strip() for text in texts if text.strip()]
        if not texts:
            raise CryptoError("no encryption key: set REFERRAL_PIPELINE_KEY (make one with `Cipher.new_key()`)")
        try:
            self._fernet = MultiFernet([Fernet(text) for text in texts])
        except ValueError:
            # The cause is left out: its text may carry the key.
            raise CryptoError(
                "REFERRAL_PIPELINE_KEY holds a text that is not a Fernet key (32 bytes, base64)"
            ) from None

    @staticmethod
    def new_key() -> str:
        """A fresh random key."""
        return Fernet.generate_key().decode()

    def encrypt(self, data: bytes) -> bytes:
        """Encrypt with the newest key. Encrypting twice gives two different texts."""
        return self._fernet.encrypt(data)

    def decrypt(self, token: bytes) -> bytes:
        """Decrypt with whichever key fits.

        Raises:
            CryptoError: when no key fits, or the text was altered.
        """
        try:
            return self._fernet.decrypt(token)
        except InvalidToken:
            raise CryptoError("the stored text opens with none of the keys of REFERRAL_PIPELINE_KEY") from None

    def rotate(self, token: bytes) -> bytes:
        """Encrypt again with the newest key, keeping the time of the first encryption.

        Raises:
            CryptoError: when no key fits, or the text was altered.
        """
        try:
            return self._fernet.rotate(token)
        except InvalidToken:
            raise CryptoError("the stored text opens with none of the keys of REFERRAL_PIPELINE_KEY") from None

    def __repr__(self) -> str:
        return "Cipher(...)"
