"""`python -m benchmarks.startup`: first calls with cold caches, and whole processes, for the runtime and its peers."""
