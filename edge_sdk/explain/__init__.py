"""Explanations and messages: contributions, rank changes and suppressions of one decision, and their texts."""
