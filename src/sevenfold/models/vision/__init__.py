"""Networks that take images."""
