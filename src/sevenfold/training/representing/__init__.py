"""Representations that networks learned, and what can be done with them without labels.

features     what a trained model makes of a split: one row of numbers an example
clustering   groups found in rows, and how well they agree with labels
anomalies    scores of how unlike the training examples an example is
maps         rows as points of a plane, and how much of the neighbourhoods is kept
probing      what a nearest neighbour or a linear classifier can read off
scatter      a map as a picture

The algorithms are scikit-learn's. Knows no recipe by name and no run store.
"""
