"""The command `bench`: times a bundle on this machine."""
