"""Builds HTML pages and their plots, for the exporter, the simulator and the benchmarks."""
