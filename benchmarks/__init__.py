"""What is measured, how, and dated results: ``python -m benchmarks [NAME...] [--quick]``."""
