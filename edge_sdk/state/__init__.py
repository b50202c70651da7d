"""The state folder of one user: the event log, memory and its snapshots, the lock, and the installed policy."""
