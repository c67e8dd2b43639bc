"""What a model that learns to sample came to: samples, their distance from real images, and sheets of them.

drawing       samples of a model, sample i from its own seed
classifier    the digits classifier whose features samples are compared in; trained here
distances     Fréchet distance, precision and recall between two sets of features
baselines     what no model at all gives: independent pixels
scores        all of it for a finished run, with baselines beside it
sheets        images to one PNG
"""
