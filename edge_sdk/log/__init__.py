"""The event log: events as fixed-size records in one ring file of fixed size, plain or encrypted."""
