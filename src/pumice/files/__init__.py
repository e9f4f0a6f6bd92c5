"""Files that nobody has to trust: one law for all that is read, one way to write."""
