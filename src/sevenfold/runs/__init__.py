"""What a run is and what it leaves on disk: the recipe as data, and the run store. Torch-free."""
