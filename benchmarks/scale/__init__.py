"""`python -m benchmarks.scale`: growth of costs with sizes; one module a question."""
