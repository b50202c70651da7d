"""Features: the device's tables, the replay of a log into training examples, and the split."""
