"""The command `fleet`: many simulated phones in closed loop."""
