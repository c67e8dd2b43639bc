"""The chips: one module per maker; each registers what it holds. Adding a chip is one entry with its sources."""
