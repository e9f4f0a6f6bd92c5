"""Probes: what is watched while a network runs."""
