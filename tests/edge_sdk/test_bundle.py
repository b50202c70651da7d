"""A `.edge` file is taken whole and vouched for, or refused by name; a refusal leaves the state folder as it was."""

from __future__ import annotations

import hashlib
import mmap
import struct
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
import onnx
import pytest
from conftest import HOME, OFFERS, SettableClock, Small
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from cloud_export.packing import development_key, public_bytes, sign_release
from edge_sdk import BaseDecision, EdgeError, Engine, ErrorCode
from edge_sdk.bundle import read_bundle
from edge_sdk.errors import (
    BundleDamagedError,
    BundleInvalidError,
    BundleTooNewError,
    BundleUnreadableError,
    BundleUntrustedError,
    SelfTestError,
)
from edge_sdk.format.generated import edge_generated as fb
from edge_sdk.release import key_id, open_release

Change = Callable[[Any], object]  # alters an unpacked Bundle

KEY = development_key("small")
OTHER = development_key("another")
THIRD = development_key("third")


@pytest.fixture(scope="module")
def whole(small: Small) -> bytes:
    """The file as it was packed."""
    return small.bundle.read_bytes()


@pytest.fixture(scope="module")
def payload(small: Small) -> bytes:
    """Its payload."""
    return bytes(open_release(small.bundle, trusted_keys=[small.public_key], allow_unsigned=False))


@pytest.fixture(scope="module")
def outside(whole: bytes, payload: bytes) -> list[int]:
    """The positions of the file's own tables: everything that is not payload."""
    at = whole.index(payload)
    return [place for place in range(len(whole)) if not at <= place < at + len(payload)]


def written(path: Path, content: bytes) -> Path:
    """A new file each time: an earlier one may still be mapped."""
    path.unlink(missing_ok=True)
    path.write_bytes(content)
    return path


class Taker:
    """Opens files that may be damaged."""

    def __init__(self, path: Path, payload: bytes, key: bytes) -> None:
        self.path, self.payload, self.key = path, payload, key

    def take(self, content: bytes) -> type[EdgeError] | None:
        """Why it was refused; None when the very same payload came out. Anything else fails the test."""
        try:
            view = open_release(written(self.path, content), trusted_keys=[self.key], allow_unsigned=False)
        except EdgeError as problem:
            return type(problem)
        assert bytes(view) == self.payload
        return None


@pytest.fixture(scope="module")
def taker(small: Small, payload: bytes, tmp_path_factory: pytest.TempPathFactory) -> Taker:
    return Taker(tmp_path_factory.mktemp("damage") / "damaged.edge", payload, small.public_key)


# ---- damage: refused, or harmless ----


def test_the_whole_file_is_taken(taker: Taker, whole: bytes) -> None:
    assert taker.take(whole) is None


def test_every_truncation_is_refused(taker: Taker, whole: bytes) -> None:
    lengths = [*range(200), *range(200, len(whole), 97), *range(len(whole) - 200, len(whole))]
    found = {length: taker.take(whole[:length]) for length in lengths}
    assert found[0] is found[15] is BundleDamagedError
    harmless = [length for length in found if found[length] is None]
    assert not any(whole[min(harmless, default=len(whole)) :])  # nothing but padding was cut
    assert len(harmless) <= 4


def test_every_bit_of_the_tables_around_the_payload(taker: Taker, whole: bytes, outside: list[int]) -> None:
    assert 150 < len(outside) < 400
    for place in outside:
        for bit in range(8):
            taker.take(whole[:place] + bytes([whole[place] ^ 1 << bit]) + whole[place + 1 :])


@pytest.mark.parametrize("number", [0, 1, 4, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFF0, 0xFFFFFFFF])
def test_every_word_of_the_tables_set_to_an_extreme(
    taker: Taker, whole: bytes, outside: list[int], number: int
) -> None:
    for place in outside:
        if place % 4 == 0:
            taker.take(whole[:place] + struct.pack("<I", number) + whole[place + 4 :])


@settings(max_examples=400, deadline=None, derandomize=True)
@given(where=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_a_flipped_bit_of_the_payload_is_damage(taker: Taker, whole: bytes, where: float, bit: int) -> None:
    place = whole.index(taker.payload) + int(where * len(taker.payload))
    assert taker.take(whole[:place] + bytes([whole[place] ^ 1 << bit]) + whole[place + 1 :]) is BundleDamagedError


@settings(max_examples=300, deadline=None, derandomize=True)
@given(where=st.floats(0, 1), gone=st.integers(0, 64), new=st.binary(max_size=64))
def test_a_spliced_file_is_refused_or_harmless(taker: Taker, whole: bytes, where: float, gone: int, new: bytes) -> None:
    place = int(where * len(whole))
    taker.take(whole[:place] + new + whole[place + gone :])


@settings(max_examples=100, deadline=None, derandomize=True)
@given(content=st.binary(max_size=400), identified=st.booleans())
def test_noise_is_refused(taker: Taker, content: bytes, identified: bool) -> None:
    if identified:
        content = content[:4] + b"EDGE" + content[8:]
    assert taker.take(content) is not None


def test_bytes_after_the_end_are_harmless(taker: Taker, whole: bytes) -> None:
    assert taker.take(whole + b"rest") is None


def test_a_damaged_length_costs_no_more_work_than_a_right_one(
    tmp_path: Path, small: Small, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every word of the tables altered, around a megabyte that reads as plausible lengths and offsets."""
    words = struct.pack("<I", 0x10000) * (1 << 18)
    raw = sign_release(words, [KEY])
    at = raw.index(words)
    taker = Taker(tmp_path / "damaged.edge", words, small.public_key)
    reads = [0]
    get = flatbuffers.table.Table.Get

    def counted(table: Any, flags: Any, place: int) -> Any:
        reads[0] += 1
        return get(table, flags, place)

    monkeypatch.setattr(flatbuffers.table.Table, "Get", counted)
    most = 0
    for place in [*range(0, at, 4), *range(at + len(words), len(raw) - 3, 4)]:
        right = struct.unpack_from("<I", raw, place)[0]
        for number in (right + 0x10000, right - 0x10000, 0x10000, 0xFFFFFFFF):
            reads[0] = 0
            taker.take(raw[:place] + struct.pack("<I", number & 0xFFFFFFFF) + raw[place + 4 :])
            most = max(most, reads[0])
    assert 0 < most < 2000


# ---- refusals through Engine.open: each leaves the state folder alone ----


def snapshot(folder: Path) -> dict[str, bytes] | None:
    """Every file below a folder; None when there is no such folder."""
    if not folder.exists():
        return None
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


class Refuser:
    """Opens a bad bundle on an absent, an empty and a used state folder, and a good one after it."""

    def __init__(self, small: Small, folder: Path) -> None:
        self.small, self.folder, self.count = small, folder, 0
        self.used = folder / "used"
        with small.open(self.used, SettableClock(), log_bytes=4096) as engine:
            engine.record("view", item="fund_a", value=2.5)
            engine.record("click", item="fund_b")

    def refuse(self, bundle: bytes | Path, error: type[EdgeError], *words: str, **options: Any) -> None:
        """Expect this error, with these words, and untouched folders."""
        path = bundle if isinstance(bundle, Path) else written(self.folder / "other.edge", bundle)
        options = options or {"trusted_keys": [self.small.public_key]}
        self.count += 1
        absent, empty = self.folder / f"absent{self.count}", self.folder / f"empty{self.count}"
        empty.mkdir()
        for state in (absent, empty, self.used):
            before = snapshot(state)
            with pytest.raises(error) as caught:
                Engine.open(state, bundle=path, log_bytes=4096, **options)
            assert type(caught.value) is error
            assert [word for word in (*words, str(path)) if word not in str(caught.value)] == []
            assert snapshot(state) == before
        for state, events in ((absent, 0), (empty, 0), (self.used, 2)):
            with self.small.open(state, SettableClock(), log_bytes=4096) as engine:
                assert engine.status().events == events

    def accept(self, bundle: bytes, **options: Any) -> None:
        """Expect a bundle to open and rank."""
        path = written(self.folder / "other.edge", bundle)
        options = options or {"trusted_keys": [self.small.public_key]}
        with Engine.open(self.used, bundle=path, clock=SettableClock(), log_bytes=4096, **options) as engine:
            assert engine.status().events == 2
            decision = engine.rank(BaseDecision(OFFERS, [0.0] * 6), context=HOME)
            assert decision.error is ErrorCode.NONE


@pytest.fixture
def refuser(small: Small, tmp_path: Path) -> Refuser:
    return Refuser(small, tmp_path)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "size: 0 bytes"),
        (b"EDGE", "size: 4 bytes"),
        (b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + bytes(64), r"file identifier: b'\r\n\x1a\n' instead of b'EDGE'"),
        (b"[scene]\nname = 'small'\n", "file identifier: b'ne]\\n' instead of b'EDGE'"),
        (b"\x08\0\0\0EDGE" + bytes(64), "payload: 0 bytes"),
    ],
    ids=["empty", "short", "png", "text", "hollow"],
)
def test_a_foreign_file_is_damaged(refuser: Refuser, content: bytes, words: str) -> None:
    refuser.refuse(content, BundleDamagedError, words, "cloud-export run")


def test_a_missing_file_and_a_folder_are_unreadable(refuser: Refuser, tmp_path: Path) -> None:
    refuser.refuse(tmp_path / "none.edge", BundleUnreadableError, "No such file")
    refuser.refuse(tmp_path, BundleUnreadableError, "Is a directory")


def test_a_truncated_and_an_altered_file_are_damaged(refuser: Refuser, whole: bytes, payload: bytes) -> None:
    refuser.refuse(whole[:-100], BundleDamagedError)
    middle = whole.index(payload) + len(payload) // 2
    altered = whole[:middle] + bytes([whole[middle] ^ 0xFF]) + whole[middle + 1 :]
    refuser.refuse(altered, BundleDamagedError, "sha256: the payload has changed")
    refuser.refuse(altered, BundleDamagedError, "sha256: the payload has changed", allow_unsigned=True)


# ---- who vouches for it ----


def test_an_unsigned_bundle_opens_only_on_demand(refuser: Refuser, payload: bytes) -> None:
    unsigned = sign_release(payload, [])
    refuser.refuse(unsigned, BundleUntrustedError, "signed by nobody", "scene.pub")
    refuser.accept(unsigned, allow_unsigned=True)


def test_a_signature_by_another_key_vouches_for_nothing(refuser: Refuser, payload: bytes) -> None:
    foreign = sign_release(payload, [OTHER])
    refuser.refuse(foreign, BundleUntrustedError, f"signed by {key_id(public_bytes(OTHER))}")
    refuser.accept(foreign, trusted_keys=[public_bytes(OTHER)])
    refuser.accept(foreign, allow_unsigned=True)


def test_no_trusted_keys_trust_nobody(refuser: Refuser, whole: bytes) -> None:
    refuser.refuse(whole, BundleUntrustedError, f"signed by {key_id(public_bytes(KEY))}", trusted_keys=[])


@pytest.mark.parametrize("keys", [[KEY, OTHER], [OTHER, KEY]], ids=["first", "second"])
def test_one_of_two_signatures_suffices(refuser: Refuser, payload: bytes, keys: list[Ed25519PrivateKey]) -> None:
    both = sign_release(payload, keys)
    refuser.accept(both)
    refuser.accept(both, trusted_keys=[public_bytes(THIRD), public_bytes(KEY)])
    named = ", ".join(key_id(public_bytes(key)) for key in keys)
    refuser.refuse(both, BundleUntrustedError, named, trusted_keys=[public_bytes(THIRD)])


def test_seventeen_signatures_are_more_than_are_read(refuser: Refuser, payload: bytes) -> None:
    refuser.accept(sign_release(payload, [*[OTHER] * 15, KEY]))
    refuser.refuse(sign_release(payload, [KEY] * 17), BundleDamagedError, "signatures: 17, at most 16")


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
    assert len(forged) == len(whole)
    refuser.refuse(forged, BundleDamagedError, "signature: ", "did not sign this payload")


def test_a_signature_that_names_a_trusted_key_must_be_by_it(refuser: Refuser, payload: bytes) -> None:
    forged = sign_release(payload, [OTHER])
    forged = forged.replace(key_id(public_bytes(OTHER)).encode(), key_id(public_bytes(KEY)).encode())
    refuser.refuse(forged, BundleDamagedError, "signature: ", "did not sign this payload")


def test_a_key_of_another_length_is_nobodys(refuser: Refuser, small: Small, whole: bytes) -> None:
    key = small.public_key
    for wrong in (b"", key[:-1], key + b"\0", key.hex().encode(), key * 2):
        refuser.refuse(whole, BundleUntrustedError, trusted_keys=[wrong])
    refuser.accept(whole, trusted_keys=[b"short", key])


def test_a_key_of_another_length_is_nobodys_even_if_the_file_names_it(
    refuser: Refuser, whole: bytes, small: Small
) -> None:
    named = whole.replace(key_id(small.public_key).encode(), key_id(b"short").encode())
    refuser.refuse(named, BundleUntrustedError, f"signed by {key_id(b'short')}", trusted_keys=[b"short"])


# ---- bundles that are whole and signed, but wrong ----


def changed(payload: bytes, change: Change, keys: Sequence[Ed25519PrivateKey] = (KEY,)) -> bytes:
    """The bundle with a change, packed and signed again."""
    bundle = fb.BundleT.InitFromPackedBuf(payload)
    change(bundle)
    builder = flatbuffers.Builder(len(payload))
    builder.Finish(bundle.Pack(builder))
    return sign_release(bytes(builder.Output()), list(keys))


def put(owner: Any, field: str, value: object) -> None:
    """setattr, for a field that is sure to exist."""
    assert hasattr(owner, field)
    setattr(owner, field, value)


def bumped(owner: Any, field: str, by: float, place: int = 0) -> None:
    """Add to one number of a vector."""
    array = getattr(owner, field).copy()
    array[place] += by
    put(owner, field, array)


def without_last(owner: Any, field: str) -> None:
    put(owner, field, getattr(owner, field)[:-1])


def wider_window(bundle: Any) -> None:
    """A graph that wants one more event than the bundle's window has."""
    model = onnx.load_from_string(bytes(bundle.model))
    wanted = next(entry for entry in model.graph.input if entry.name == "event_value")
    assert wanted.type.tensor_type.shape.dim[0].dim_value == 8
    wanted.type.tensor_type.shape.dim[0].dim_value = 9
    bundle.model = np.frombuffer(model.SerializeToString(), np.uint8)


INVALID: dict[str, tuple[Change, str]] = {
    "window of 0": (lambda b: put(b, "window", 0), "window: 0"),
    "window too large": (lambda b: put(b, "window", 4097), "window: 4097"),
    "no kinds": (lambda b: put(b, "kinds", []), "kinds: none"),
    "kinds left out": (lambda b: put(b, "kinds", None), "kinds: none"),
    "two kinds with one id": (lambda b: put(b.kinds[1], "id", b.kinds[0].id), "kinds: none, or two with one id"),
    "a kind with id 0": (lambda b: put(b.kinds[1], "id", 0), "kinds: "),
    "counter_kinds too small": (lambda b: put(b, "counterKinds", 2), "counter_kinds: 2"),
    "counter_kinds 0": (lambda b: put(b, "counterKinds", 0), "counter_kinds: 0"),
    "items not ascending": (lambda b: put(b.items, "ids", b.items.ids[::-1].copy()), "items.ids: not ascending"),
    "an item twice": (lambda b: put(b.items, "ids", b.items.ids[[0, 0, *range(2, 8)]]), "items.ids: not ascending"),
    "fewer categories than items": (lambda b: without_last(b.items, "categories"), "items.ids: "),
    "a category beyond the table": (lambda b: bumped(b.items, "categories", 9), "items.categories: "),
    "offers not ascending": (lambda b: put(b.offers.names, "ids", b.offers.names.ids[::-1].copy()), "offers.ids: "),
    "no offers": (lambda b: put(b.offers, "names", fb.VocabularyT()), "offers: none"),
    "fewer dates than offers": (lambda b: without_last(b.offers, "validFromS"), "offers.valid_from_s: "),
    "a short decay table": (lambda b: without_last(b.decays[0], "growFine"), "decays: half_life_s 60 "),
    "a decay table left out": (lambda b: put(b.decays[1], "fadeCoarse", None), "decays: half_life_s 3600 "),
    "a tick of 0": (lambda b: put(b.decays[1], "tickMs", 0), "decays: half_life_s 3600 "),
    "no objectives": (lambda b: put(b.policy, "objectives", []), "policy.objectives: none"),
    "a rule on no field": (lambda b: put(b.policy.eligibility[0], "field", 2), "policy.eligibility.field: 2"),
    "no model": (lambda b: put(b, "model", None), "model: absent"),
    "an empty model": (lambda b: put(b, "model", np.zeros(0, np.uint8)), "model: absent"),
    "a garbage model": (lambda b: put(b, "model", np.arange(999).astype(np.uint8)), "model: "),
    "half a model": (lambda b: put(b, "model", b.model[: len(b.model) // 2]), "model: "),
    "a model of another shape": (wider_window, "model: "),
    "golden rows beyond the offers": (lambda b: bumped(b.golden[2], "candidates", 7), "golden.candidates: "),
    "golden rows below 0": (lambda b: bumped(b.golden[2], "candidates", -99), "golden.candidates: "),
    "a golden logit missing": (lambda b: without_last(b.golden[1], "logits"), "golden.logits: 11 numbers, not 12"),
    "a golden base logit missing": (lambda b: without_last(b.golden[1], "baseLogits"), "golden.base_logits: 11 "),
    "a golden counter missing": (lambda b: without_last(b.golden[1], "counters"), "golden.counters: 71 numbers"),
    "a golden context too short": (lambda b: without_last(b.golden[1], "context"), "golden.context: 3 numbers"),
}


def test_a_bundle_packed_again_unchanged_opens(refuser: Refuser, payload: bytes) -> None:
    refuser.accept(changed(payload, lambda bundle: None))


@pytest.mark.parametrize("case", INVALID)
def test_a_contradiction_is_named(refuser: Refuser, payload: bytes, case: str) -> None:
    change, words = INVALID[case]
    refuser.refuse(changed(payload, change), BundleInvalidError, f"other.edge: {words}", "cloud-export run")


def test_a_later_format_is_named_with_ours(refuser: Refuser, payload: bytes) -> None:
    later = changed(payload, lambda bundle: put(bundle, "formatVersion", 2))
    refuser.refuse(later, BundleTooNewError, "format_version 2, this runtime reads up to 1")


def test_a_later_format_is_named_whatever_else_is_new_in_it(refuser: Refuser, payload: bytes) -> None:
    def later(bundle: Any) -> None:
        put(bundle, "formatVersion", 2)
        put(bundle, "kinds", None)
        put(bundle, "model", None)

    refuser.refuse(changed(payload, later), BundleTooNewError, "format_version 2, this runtime reads up to 1")


def test_a_signed_payload_that_is_no_bundle_is_damaged(refuser: Refuser) -> None:
    refuser.refuse(sign_release(b"\xff" * 100, [KEY]), BundleDamagedError, "payload: not readable")


# ---- the self-test ----

STAGES: dict[str, tuple[str, float]] = {
    "event_item": ("eventItem", 1),
    "event_kind": ("eventKind", 1),
    "event_age_s": ("eventAgeS", 0.01),
    "event_value": ("eventValue", 0.001),
    "counters": ("counters", 0.00001),
    "logits": ("logits", 0.0001),
}


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("vector", [0, 2])
def test_a_golden_vector_that_comes_out_otherwise_is_named(
    refuser: Refuser, payload: bytes, stage: str, vector: int
) -> None:
    field, by = STAGES[stage]
    other = changed(payload, lambda bundle: bumped(bundle.golden[vector], field, by))
    assert other != changed(payload, lambda bundle: None)
    refuser.refuse(other, SelfTestError, f"golden vector {vector} differs in {stage} on this device")


def test_logits_may_differ_by_a_rounding(refuser: Refuser, payload: bytes) -> None:
    refuser.accept(changed(payload, lambda bundle: bumped(bundle.golden[0], "logits", 0.000002)))


# ---- the model stays where it lies ----


def test_the_model_is_a_view_into_the_mapped_file(small: Small) -> None:
    view = open_release(small.bundle, trusted_keys=[small.public_key], allow_unsigned=False)
    assert isinstance(view.obj, mmap.mmap)
    assert view.readonly
    file = np.frombuffer(view.obj, np.uint8)
    bundle = read_bundle(small.bundle, view)
    for graph, content in ((bundle.model, small.content.model), (bundle.explainer, small.content.explainer)):
        array = np.frombuffer(graph, np.uint8)
        assert np.shares_memory(array, file)
        assert file.ctypes.data <= array.ctypes.data <= file.ctypes.data + len(file) - len(content)
        assert array.tobytes() == content
        assert graph.readonly
