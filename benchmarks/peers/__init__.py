"""The competitors of `benchmarks.speed` and `benchmarks.startup`, one module each."""
