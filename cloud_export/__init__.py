"""The cloud exporter: reads a log, trains the models, and packs a signed bundle with a report."""
