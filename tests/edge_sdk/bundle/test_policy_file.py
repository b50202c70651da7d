"""A policy file is read only if it is whole, signed by a trusted key, and fits the installed bundle."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloud_export.export.container_writer import development_key, public_bytes, sign_container
from cloud_export.export.policy_file import sign_policy_file
from cloud_export.scene.load import scene_from_table
from edge_sdk.bundle.bundle import Bundle, with_policy
from edge_sdk.bundle.container import POLICY, key_id, open_container
from edge_sdk.bundle.reader import read_bundle
from edge_sdk.errors import (
    BundleDamagedError,
    BundleTooNewError,
    BundleUntrustedError,
    PolicyInvalidError,
)
from tests.support.policy_files import KEY, changed, read
from tests.support.policy_files import raw as raw
from tests.support.policy_refusals import bundle as bundle
from tests.support.policy_refusals import names
from tests.support.policy_refusals import payload as payload
from tests.support.policy_refusals import scene as scene
from tests.support.policy_scene import POLICY_SCENE
from tests.support.scene import Small, packed

OTHER = development_key("another")


def test_the_file_has_the_same_policy_as_the_bundle(bundle: Bundle) -> None:
    data = sign_policy_file(scene_from_table(POLICY_SCENE), KEY)
    assert data == sign_policy_file(scene_from_table(POLICY_SCENE), KEY)
    assert data[4:8] == b"EDGP"

    found = read(data, bundle)

    assert found.caps == bundle.policy.caps
    assert found.budget == bundle.policy.budget
    assert [rule.when for rule in found.drops] == [rule.when for rule in bundle.policy.drops]
    assert (found.version, found.exploration) == (7, bundle.policy.exploration)


def test_another_policy_replaces_it(bundle: Bundle) -> None:
    table = POLICY_SCENE | {"objectives": {"click": 0.0, "convert": 3.0}, "policy": {"version": 8}}
    changed_bundle = with_policy(bundle, read(sign_policy_file(scene_from_table(table), KEY), bundle))

    assert changed_bundle.policy.weights.tolist() == [0.0, 3.0]
    assert (changed_bundle.policy.version, changed_bundle.policy.drops) == (8, ())
    assert (changed_bundle.layout.caps, changed_bundle.layout.spending) == ((), None)
    assert changed_bundle.layout.machines == bundle.layout.machines
    assert bundle.policy.version == 7


def test_over_other_offers_it_finds_those_that_it_names(tmp_path: Path) -> None:
    other = packed(tmp_path, POLICY_SCENE, offers=("coupon_b", "fund_b", "fund_c"))
    view = open_container(other.bundle, trusted_keys=[other.public_key], allow_unsigned=False)
    installed = read_bundle(other.bundle, view)

    found = read(sign_policy_file(other.scene, KEY), installed)

    assert [names(installed, rule.selection.offers) for rule in found.drops] == [
        ["coupon_b"], [], None, ["fund_b"],
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda f: setattr(f, "scene", "other"), "scene: 'other', and the bundle is of 'small'"),
        (lambda f: setattr(f, "policy", None), "policy: absent"),
        (lambda f: setattr(f.policy.objectives[0], "name", "buy"), "policy.objectives: buy, convert; the bundle has"),
        (lambda f: setattr(f.policy, "objectives", None), "policy.objectives: none; the bundle has click, convert"),
        (lambda f: setattr(f.policy.pins[0], "place", 0), "policy.pins[0].place: 0"),
    ],
)
def test_what_does_not_fit_is_named(raw: bytes, bundle: Bundle, change: Callable[[Any], object], words: str) -> None:
    with pytest.raises(PolicyInvalidError) as caught:
        read(changed(raw, change), bundle)
    assert str(caught.value).startswith(f"new.policy: {words}")
    fix = "make it with `cloud-export policy` from the scene file of the installed bundle"
    assert str(caught.value).endswith(f"; {fix}")


def test_a_later_format_is_refused(raw: bytes, bundle: Bundle) -> None:
    with pytest.raises(BundleTooNewError, match=r"new\.policy: format_version 4, this runtime reads up to 3"):
        read(changed(raw, lambda f: setattr(f, "formatVersion", 4)), bundle)


def test_the_signature_is_checked(raw: bytes, bundle: Bundle) -> None:
    foreign = sign_container(raw, [OTHER], POLICY)
    with pytest.raises(BundleUntrustedError) as caught:
        read(foreign, bundle)
    assert str(caught.value) == (
        f"new.policy: signed by {key_id(public_bytes(OTHER))}, by none of the trusted_keys; "
        "sign it with a key that the engine trusts (`cloud-export policy --key`), "
        "or allow_unsigned=True while developing"
    )
    with pytest.raises(BundleUntrustedError, match="signed by nobody"):
        read(sign_container(raw, [], POLICY), bundle)
    assert read(foreign, bundle, unsigned=True).version == 7


def test_a_bundle_is_no_policy_and_a_policy_no_bundle(scene: Small, raw: bytes, bundle: Bundle) -> None:
    with pytest.raises(BundleDamagedError) as caught:
        read(scene.bundle.read_bytes(), bundle)
    assert str(caught.value) == (
        "new.policy: file identifier: b'EDGE' instead of b'EDGP'; "
        "fetch the file again, or rebuild it with `cloud-export policy`"
    )
    with pytest.raises(BundleDamagedError, match="size: 3 bytes"):
        read(b"abc", bundle)
    altered = bytearray(sign_container(raw, [KEY], POLICY))
    altered[altered.index(raw) + 40] ^= 1
    with pytest.raises(BundleDamagedError, match="sha256: the payload has changed"):
        read(bytes(altered), bundle)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(where=st.floats(0, 1, exclude_max=True), gone=st.integers(0, 8), new=st.binary(max_size=8))
def test_any_signed_bytes_are_a_policy_or_a_typed_error(
    raw: bytes, bundle: Bundle, where: float, gone: int, new: bytes
) -> None:
    place = int(where * len(raw))
    spliced = raw[:place] + new + raw[place + gone :]
    data = sign_container(spliced or b"\0", [KEY], POLICY)
    with contextlib.suppress(BundleDamagedError, BundleTooNewError, PolicyInvalidError):
        assert read(data, bundle).weights.shape == (2,)
