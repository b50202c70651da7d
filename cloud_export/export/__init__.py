"""Writes bundles, policy files and base decisions, and compares the exported graphs with torch."""
