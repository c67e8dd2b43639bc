"""Agents that learn by acting: DQN, REINFORCE and PPO on CartPole, on Snake, and on Atari as in the papers."""

from __future__ import annotations
