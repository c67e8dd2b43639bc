"""Learning by acting: environments, experience, and the learners of values and of policies.

snake            the game, in gymnasium's interface
environments     ENVIRONMENTS: snake, gymnasium:ID, atari:GAME, and how each is preprocessed
atari            what is done to a game's frames, rewards and lives
worlds           several environments side by side, which a checkpoint can bring back exactly
processes        the same, each in a process (`stepping`)
markov           decision processes small enough to solve: value iteration, Q-learning, Snake as one of them
replay           experience replay that stores each frame once
returns          discounted returns, generalized advantages
losses           what DQN, REINFORCE and PPO minimize
values, policies the learners: DQN; REINFORCE and PPO
playing          what a recipe computes; whole episodes of evaluation; an episode in pictures
running          from a recipe of the task control to its run record

Agents' networks and settings are landmarks (`sevenfold.models.control`).
"""
