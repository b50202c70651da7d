"""The commands `setup` and `count`: count instructions on an emulated arm64 core."""
