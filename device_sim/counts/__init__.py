"""The files of counts, and the shipped ones."""
