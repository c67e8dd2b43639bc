"""Designs probes, analyses run records and costs, and says what binds. Torch-free."""
