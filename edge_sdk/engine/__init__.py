"""The engine: one user's events and decisions on one device."""
