"""Stand-in: adapters between the host and the chip."""
