"""Decisions: the request, the decision maker, the decision with its evidence, and the fallback."""
