"""Decisions: the request, the decision maker, the answer, and the evidence that explains it."""
