"""Simulated phones and users: estimates, counts, measurements and experiments without a phone."""
