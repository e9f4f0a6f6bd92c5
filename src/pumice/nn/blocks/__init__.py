"""Blocks: synapses and neurons together."""
