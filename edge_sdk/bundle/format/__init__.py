"""The schema of all files, edge.fbs, and the code that is generated from it."""
