"""The programs that run inside the emulated machine: they import only `edge_sdk`, numpy and the standard library."""
