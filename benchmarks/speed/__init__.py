"""`python -m benchmarks.speed`: the whole decision against every way to run the same model."""
