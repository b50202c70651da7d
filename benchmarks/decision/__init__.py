"""`python -m benchmarks.decision`: the cost of a decision, of its policy and of its explanation."""
