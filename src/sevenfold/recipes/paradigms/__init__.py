"""Ways of learning as comparisons over seeds, one file each: every function marked with @paradigm is an entry."""
