"""The command `population`: simulated users and their log."""
