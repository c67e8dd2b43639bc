"""Networks built of attention."""
