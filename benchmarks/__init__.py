"""Benchmarks: scripts that print and write measurements of this machine; `make bench` runs them all."""
