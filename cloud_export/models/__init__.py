"""Models: the base model, the device model, and their training."""
