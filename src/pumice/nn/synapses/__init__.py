"""Synapses: what turns spikes into a current."""
