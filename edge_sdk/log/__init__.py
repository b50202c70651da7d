"""The event log: events as fixed-size records in one memory-mapped ring file, plain or encrypted."""
