"""The state that is computed from events: window, counters, caps, state machines, spending, derived events. Pure."""
