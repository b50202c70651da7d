"""Evaluation: ranking quality, faithfulness of explanations, and speed of a packed bundle."""
