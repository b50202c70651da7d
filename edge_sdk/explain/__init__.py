"""Explanations: contributions to scores, rank changes and suppressions, in numbers and in words."""
