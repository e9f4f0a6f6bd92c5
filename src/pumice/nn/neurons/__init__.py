"""Neurons: what turns a current into spikes."""
