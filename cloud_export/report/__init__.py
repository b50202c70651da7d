"""Writes the report of an export, and describes a bundle in rows of text."""
