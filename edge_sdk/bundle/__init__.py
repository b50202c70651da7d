"""Bundles and policy files: their format, their checks, and what the runtime reads from them."""
