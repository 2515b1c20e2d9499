"""What is hashed cannot be tried out without the key, and what is encrypted opens only with one of the keys."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from referral_pipeline.privacy.crypto import Cipher, CryptoError, keyed_hash


def test_a_keyed_hash_is_the_hmac_of_rfc_4231() -> None:
    digest = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    assert keyed_hash("what do ya want for nothing?", "Jefe") == digest
    assert keyed_hash("what do ya want for nothing?", b"Jefe") == digest


@given(value=st.text(), key=st.text(min_size=1))
def test_the_same_value_has_another_hash_under_another_key(value: str, key: str) -> None:
    key = key.encode("utf-8", "replace").decode()
    value = value.encode("utf-8", "replace").decode()
    assert keyed_hash(value, key) == keyed_hash(value, key)
    assert keyed_hash(value, key) != keyed_hash(value, key + "x")
    assert len(keyed_hash(value, key)) == 64


def test_an_empty_hash_key_is_refused() -> None:
    with pytest.raises(CryptoError, match="REFERRAL_PIPELINE_HASH_KEY"):
        keyed_hash("x", "")


@given(data=st.binary())
def test_what_was_encrypted_comes_back(data: bytes) -> None:
    cipher = Cipher(_KEY)
    token = cipher.encrypt(data)
    assert cipher.decrypt(token) == data
    assert token != cipher.encrypt(data)


def test_after_a_rotation_old_texts_open_and_new_ones_use_the_new_key() -> None:
    new = Cipher.new_key()
    token = Cipher(_KEY).encrypt(b"body")
    both = Cipher(f" {new} , {_KEY} ")
    assert both.decrypt(token) == b"body"
    assert Cipher(new).decrypt(both.rotate(token)) == b"body"
    assert Cipher([new]).decrypt(both.encrypt(b"body")) == b"body"


def test_a_text_that_no_key_opens_or_that_was_altered_is_refused() -> None:
    token = Cipher(_KEY).encrypt(b"body")
    with pytest.raises(CryptoError, match="none of the keys"):
        Cipher(Cipher.new_key()).decrypt(token)
    with pytest.raises(CryptoError, match="none of the keys"):
        Cipher(_KEY).decrypt(token[:-2])
    with pytest.raises(CryptoError, match="none of the keys"):
        Cipher(_KEY).rotate(b"nonsense")


@pytest.mark.parametrize("keys", ["", " , ", "too-short", f"{'A' * 43}=,nonsense"])
def test_keys_that_are_none_are_refused_without_being_shown(keys: str) -> None:
    with pytest.raises(CryptoError) as refused:
        Cipher(keys)
    assert "nonsense" not in str(refused.value)
    assert "too-short" not in str(refused.value)


def test_a_cipher_does_not_show_its_keys() -> None:
    assert _KEY not in repr(Cipher(_KEY))


_KEY = Cipher.new_key()
