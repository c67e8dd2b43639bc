"""One function per verb: typed inputs in, a result object out; also the Python API. Imports nothing at its top."""
