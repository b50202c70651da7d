"""Scenes: loads and checks scene files, their policy and their texts."""
