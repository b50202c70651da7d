"""Logs: reads events, decisions, offers and users, and checks every row."""
