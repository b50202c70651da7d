"""`device-sim bench`: times, start-up and memory of a bundle on this machine, quiet and disturbed."""
