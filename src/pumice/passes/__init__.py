"""Passes: what happens to a network's numbers on the way to the chip."""
