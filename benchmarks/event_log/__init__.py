"""`python -m benchmarks.event_log`: the cost of recording, opening and ingesting events."""
