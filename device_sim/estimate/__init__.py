"""The command `estimate`: intervals of time on a phone, from counts."""
