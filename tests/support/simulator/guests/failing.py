"""Fails in the way that its argument names."""

import os
import signal
import sys

from device_sim.emulation import markers

match sys.argv[1]:
    case "raise":
        raise ValueError("the guest's own words")
    case "exit":
        sys.exit(7)
    case "signal":
        os.kill(os.getpid(), signal.SIGSEGV)
    case "forever":
        while True:
            pass
    case "region":
        markers.enter(64)
    case "fork":
        markers.enter(1)
        child = os.fork()
        if child == 0:
            markers.dump()
            os._exit(0)
        os.waitpid(child, 0)
        markers.enter(0)
