"""Networks that take flat features."""
