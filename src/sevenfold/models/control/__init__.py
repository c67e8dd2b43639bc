"""Landmarks that learn by acting: their networks, and the settings of the algorithm that the paper proposes."""
