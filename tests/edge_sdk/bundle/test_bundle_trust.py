"""A bundle opens only with a trusted signature, or unsigned on demand.

A bundle opens if one trusted key signed exactly this payload, or unsigned on demand. A signature that is altered,
forged, by an unknown key or by a key of another length is refused, and the state folder is unchanged.
"""

from __future__ import annotations

import hashlib

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from cloud_export.export.container_writer import development_key, public_bytes, sign_container
from edge_sdk.bundle.container import key_id, open_container
from edge_sdk.errors import BundleDamagedError, BundleUntrustedError
from tests.support.bundle_refusals import KEY, Refuser, written
from tests.support.bundle_refusals import payload as payload
from tests.support.bundle_refusals import refuser as refuser
from tests.support.bundle_refusals import whole as whole
from tests.support.scene import Small

OTHER = development_key("another")
THIRD = development_key("third")


def test_an_unsigned_bundle_opens_only_on_demand(refuser: Refuser, payload: bytes) -> None:
    unsigned = sign_container(payload, [])
    refuser.refuse(unsigned, BundleUntrustedError, "signed by nobody", "scene.pub")
    refuser.accept(unsigned, allow_unsigned=True)


def test_a_signature_by_another_key_is_refused(refuser: Refuser, payload: bytes) -> None:
    foreign = sign_container(payload, [OTHER])
    refuser.refuse(foreign, BundleUntrustedError, f"signed by {key_id(public_bytes(OTHER))}")
    refuser.accept(foreign, trusted_keys=[public_bytes(OTHER)])
    refuser.accept(foreign, allow_unsigned=True)


def test_without_trusted_keys_nothing_opens(refuser: Refuser, whole: bytes) -> None:
    refuser.refuse(whole, BundleUntrustedError, f"signed by {key_id(public_bytes(KEY))}", trusted_keys=[])


@pytest.mark.parametrize("keys", [[KEY, OTHER], [OTHER, KEY]], ids=["first", "second"])
def test_one_of_two_signatures_suffices(refuser: Refuser, payload: bytes, keys: list[Ed25519PrivateKey]) -> None:
    both = sign_container(payload, keys)
    refuser.accept(both)
    refuser.accept(both, trusted_keys=[public_bytes(THIRD), public_bytes(KEY)])
    named = ", ".join(key_id(public_bytes(key)) for key in keys)
    refuser.refuse(both, BundleUntrustedError, named, trusted_keys=[public_bytes(THIRD)])


def test_seventeen_signatures_are_more_than_are_read(refuser: Refuser, payload: bytes) -> None:
    refuser.accept(sign_container(payload, [*[OTHER] * 15, KEY]))
    refuser.refuse(sign_container(payload, [KEY] * 17), BundleDamagedError, "signatures: 17, at most 16")


@pytest.mark.parametrize("place", [0, 31, 32, 63])
def test_altered_signature_bytes_are_damage(refuser: Refuser, whole: bytes, payload: bytes, place: int) -> None:
    at = whole.index(KEY.sign(payload)) + place
    altered = whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :]
    refuser.refuse(altered, BundleDamagedError, "signature: ", key_id(public_bytes(KEY)))


def test_an_altered_payload_with_its_sum_made_right_is_still_refused(
    refuser: Refuser, whole: bytes, payload: bytes
) -> None:
    altered = payload[:-1] + bytes([payload[-1] ^ 1])
    forged = whole.replace(payload, altered)
    forged = forged.replace(hashlib.sha256(payload).digest(), hashlib.sha256(altered).digest())
    path = written(refuser.folder / "forged.edge", forged)
    with pytest.raises(BundleDamagedError) as caught:
        open_container(path, trusted_keys=[public_bytes(KEY)], allow_unsigned=False)
    assert str(caught.value) == (
        f"{path}: signature: c77d52d2ac14f4fe did not sign this payload; "
        "fetch the file again, or rebuild it with `cloud-export run`"
    )
    refuser.refuse(forged, BundleDamagedError, "signature: c77d52d2ac14f4fe did not sign this payload")


def test_a_signature_that_names_a_trusted_key_must_be_by_it(refuser: Refuser, payload: bytes) -> None:
    forged = sign_container(payload, [OTHER])
    forged = forged.replace(key_id(public_bytes(OTHER)).encode(), key_id(public_bytes(KEY)).encode())
    refuser.refuse(forged, BundleDamagedError, "signature: ", "did not sign this payload")


def test_a_key_of_another_length_is_ignored(refuser: Refuser, small: Small, whole: bytes) -> None:
    key = small.public_key
    for wrong in (b"", key[:-1], key + b"\0", key.hex().encode(), key * 2):
        refuser.refuse(whole, BundleUntrustedError, trusted_keys=[wrong])
    refuser.accept(whole, trusted_keys=[b"short", key])


def test_a_key_of_another_length_is_ignored_even_if_the_file_names_it(
    refuser: Refuser, whole: bytes, small: Small
) -> None:
    named = whole.replace(key_id(small.public_key).encode(), key_id(b"short").encode())
    refuser.refuse(named, BundleUntrustedError, f"signed by {key_id(b'short')}", trusted_keys=[b"short"])
