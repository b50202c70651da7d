"""How costs grow: `python -m benchmarks.scale`; one module a question."""
