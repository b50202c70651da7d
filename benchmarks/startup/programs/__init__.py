"""Programs of fresh processes of the model's peers; `benchmarks.startup` starts them by path."""
