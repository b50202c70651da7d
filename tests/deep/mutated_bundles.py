"""Opens tens of thousands of mutated, rightly sealed bundles and policy files in child processes with limits.

    python -m tests.deep.mutated_bundles --files 20000 --seed 1

Of each file: it is refused with a typed error, or it opens and everything that it promises works: ranking, recording,
explaining, messages. A file that raises anything else, takes over two seconds of CPU or more memory than the limit is a
finding: the report names its number, and `--only NUMBER` runs it alone.
"""

from __future__ import annotations

import argparse
import collections
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from pathlib import Path
from typing import Any, Final

from cloud_export.export.container_writer import development_key, public_bytes, sign_container
from cloud_export.export.policy_file import pack_policy_file
from cloud_export.scene.load import scene_from_table
from edge_sdk import BaseDecision, EdgeError, Engine
from edge_sdk.bundle.container import BUNDLE, POLICY, open_container
from edge_sdk.errors import ErrorCode
from tests.support.mutations import mutated
from tests.support.paths import GOLDEN
from tests.support.policy_scene import POLICY_SCENE
from tests.support.scene import OFFERS, SettableClock, packed

CPU_S: Final = 2.0  # of one file
MEMORY_BYTES: Final = 1 << 30  # of one child beyond what it takes to start
BATCH: Final = 250  # files a child
RANKED: Final = (ErrorCode.NONE, ErrorCode.UNKNOWN_OFFER, ErrorCode.MODEL_FAILED, ErrorCode.UNKNOWN_CONTEXT)
KEY: Final = development_key("small")


class Player:
    """Opens one mutated file after the other, and uses what opened."""

    def __init__(self, folder: Path, sources: list[tuple[bytes, bytes]]) -> None:
        """`sources`: payload and file identifier of each sound file; the first is the bundle that policies go to."""
        self.folder, self.sources = folder, sources
        self.sound = folder / "sound.edge"
        self.sound.write_bytes(sign_container(sources[0][0], [KEY]))

    def content(self, chance: random.Random) -> tuple[bytes, bool]:
        """Returns a mutated file, and whether it is a policy."""
        payload, identifier = chance.choice(self.sources)
        root = "PolicyFile" if identifier == POLICY else "Bundle"
        return sign_container(mutated(chance, payload, root), [KEY], identifier), identifier == POLICY

    def play(self, number: int, content: bytes, chance: random.Random, *, is_policy: bool) -> str:
        """Returns what became of one file: "opened", or the class of the typed error."""
        path = self.folder / f"{number}.edge"
        path.write_bytes(content)
        state = self.folder / f"state{number}"
        try:
            if is_policy:
                with self._opened(state, self.sound) as engine:
                    engine.install_policy(content)
                with self._opened(state, self.sound) as engine:
                    assert not engine.status().policy_error
                    use(engine, chance)
            else:
                with self._opened(state, path) as engine:
                    use(engine, chance)
        except EdgeError as problem:
            return type(problem).__name__
        finally:
            path.unlink()
        return "opened"

    def _opened(self, state: Path, bundle: Path) -> Engine:
        return Engine.open(
            state, bundle=bundle, trusted_keys=[public_bytes(KEY)], clock=SettableClock(), log_bytes=4096, seed=1
        )


def use(engine: Engine, chance: random.Random) -> None:
    """Uses all that an open engine offers; nothing of it may fail for the file's content."""
    bundle = engine._bundle  # noqa: SLF001
    for kind in list(bundle.kind_ids)[:8]:
        for item in (*OFFERS[:3], ""):
            engine.record(kind, item=item, value=chance.choice((0.0, 1.0, 250.0)))
    objectives = len(bundle.objectives)
    base = BaseDecision(list(OFFERS), [[chance.gauss(-2, 1) for _ in range(objectives)] for _ in OFFERS])
    fields = bundle.policy.context
    context = {field.name: chance.choice(field.values) for field in fields if field.values and chance.random() < 0.7}
    for limit in (None, 2):
        decision = engine.rank(base, context=context, limit=limit)
        assert decision.error in RANKED, decision.error
        for language in (*bundle.languages, "en", "xx"):
            if decision.error is ErrorCode.NONE and len(bundle.explainer):
                for explanation in engine.explain(decision):
                    explanation.text(language)
            engine.message(decision, OFFERS[0], language=language)
        if decision.offers:
            engine.shown(decision)
            for outcome in bundle.feedback:
                engine.feedback(decision, decision.offers[0].id, outcome)


def sources() -> list[tuple[bytes, bytes]]:
    """Returns the sound files that are mutated: the scene of policies, every former format, and policy files."""
    found = []
    with tempfile.TemporaryDirectory() as folder:
        small = packed(Path(folder), POLICY_SCENE)
        found.append((payload_of(small.bundle), BUNDLE))
    found += [(payload_of(path), BUNDLE) for path in sorted(GOLDEN.glob("*.edge"))]
    policy = pack_policy_file(scene_from_table(POLICY_SCENE | {"policy": POLICY_SCENE["policy"] | {"version": 9}}))
    return [*found, (policy, POLICY), (policy, POLICY)]


def payload_of(path: Path) -> bytes:
    """Returns the payload of a file."""
    return bytes(open_container(path, trusted_keys=[], allow_unsigned=True))


def child(first: int, count: int, seed: int) -> None:
    """Plays some files, and prints a line of JSON for each, before and after."""
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as folder:
        player = Player(Path(folder), sources())
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10
        size = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (size + MEMORY_BYTES, size + MEMORY_BYTES))
        for number in range(first, first + count):
            _say(json.dumps({"begun": number}))
            chance = random.Random(f"{seed}/{number}")
            content, is_policy = player.content(chance)
            line: dict[str, Any] = {"number": number}
            start = time.process_time()
            try:
                line["outcome"] = player.play(number, content, chance, is_policy=is_policy)
            except BaseException as problem:  # the findings
                line["finding"] = f"{type(problem).__name__}: {problem}"[:300]
                line["trace"] = traceback.format_exc()[-1500:]
            line["cpu_s"] = round(time.process_time() - start, 3)
            grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10) - peak
            peak += grown
            line["grown"] = grown
            if line["cpu_s"] > CPU_S and "finding" not in line:
                line["finding"] = "slow"
            _say(json.dumps(line))


class Tally:
    """What became of all files."""

    def __init__(self) -> None:
        self.outcomes: collections.Counter[str] = collections.Counter()
        self.findings: list[dict[str, Any]] = []
        self.slowest, self.largest = (0.0, 0), (0, 0)

    def add(self, line: dict[str, Any]) -> None:
        """Counts one file."""
        self.slowest = max(self.slowest, (line["cpu_s"], line["number"]))
        self.largest = max(self.largest, (line["grown"], line["number"]))
        self.outcomes[line.get("outcome", "finding")] += 1
        if "finding" in line:
            self.found(line)

    def found(self, line: dict[str, Any]) -> None:
        """Reports a finding."""
        self.findings.append(line)
        _say(f"{line['number']}: {line['finding']}\n{line.get('trace', '')}")


def run(files: int, seed: int, first: int) -> int:
    """Plays the files in children, one after the other; returns the number of findings."""
    tally, at, end = Tally(), first, first + files
    while at < end:
        count = min(BATCH, end - at)
        arguments = ["--only", str(at), "--count", str(count), "--seed", str(seed)]
        done = subprocess.run(
            [sys.executable, "-m", "tests.deep.mutated_bundles", *arguments],
            capture_output=True, text=True, timeout=60 + 20 * count, check=False,
        )  # fmt: skip
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        for line in lines:
            if "number" in line:
                tally.add(line)
        at += count
        if done.returncode:  # the file that was begun last ended the child; the next child goes on behind it
            last = lines[-1].get("begun", at - 1) if lines else at - 1
            tally.found({"number": last, "finding": f"its child ended with {done.returncode}: {done.stderr[-400:]}"})
            at = last + 1
    _say(f"{files} files, seed {seed}: {len(tally.findings)} findings; {dict(tally.outcomes.most_common())}")
    (cpu_s, slow), (grown, large) = tally.slowest, tally.largest
    _say(f"slowest {cpu_s} s of CPU (file {slow}); largest growth of memory {grown >> 20} MiB (file {large})")
    return len(tally.findings)


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=20_000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seed", type=int, default=14)
    parser.add_argument("--only", type=int, help="play from this file on, in this process")
    parser.add_argument("--count", type=int, default=1)
    arguments = parser.parse_args()
    if arguments.only is not None:
        child(arguments.only, arguments.count, arguments.seed)
    elif run(arguments.files, arguments.seed, arguments.first):
        sys.exit(1)


if __name__ == "__main__":
    main()
