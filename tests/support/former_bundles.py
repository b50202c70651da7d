"""The bundle of edge-sdk 0.1 is stored beside the golden decisions, with the key that signed it."""

from __future__ import annotations

from tests.support.paths import GOLDEN
from tests.support.policy_refusals import bundle as bundle
from tests.support.policy_refusals import payload as payload
from tests.support.policy_refusals import scene as scene

FORMER = GOLDEN / "bundle_of_0_1.edge"
FORMER_KEY = bytes.fromhex("83af7e33a833c3737c6a8cba0d5967384c562a752288e68619a7f527d4c46f6d")
