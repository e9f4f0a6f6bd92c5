"""Norms, which fold into weights and biases."""
