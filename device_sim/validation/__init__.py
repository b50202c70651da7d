"""The command `validate`: fits and scores the cycle model on published timings."""
