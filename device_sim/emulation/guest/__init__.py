"""What runs inside the emulated machine: the real `edge_sdk` at work, under marks that the instruction counter sees.

These modules import `edge_sdk`, numpy and the standard library only: nothing else is on the emulated machine. They run
on any machine as well; there the marks do nothing.
"""
