"""Models that learn to sample; and the folders of the diffusers library, which they read."""

from sevenfold.models.generative import _diffusers_autoencoders, _diffusers_unets

__all__ = ["_diffusers_autoencoders", "_diffusers_unets"]
