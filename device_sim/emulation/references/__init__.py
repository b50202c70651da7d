"""Programs that count and time the reference models of the cycle model."""
