"""Does the same work in four threads, one after the other and in parallel: the work releases the interpreter lock."""

import threading
import zlib

from device_sim.emulation import markers

DATA = bytes(4 * 1024 * 1024)


def work() -> None:
    for _ in range(3):
        zlib.adler32(DATA)


def run(region: int, *, at_once: bool) -> None:
    threads = [threading.Thread(target=work) for _ in range(4)]
    markers.enter(region)
    for thread in threads:
        thread.start()
        if not at_once:
            thread.join()
    for thread in threads:
        thread.join()
    markers.enter(0)


run(10, at_once=False)
run(1, at_once=False)
run(2, at_once=True)
