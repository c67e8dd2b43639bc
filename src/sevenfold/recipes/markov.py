"""Recipes of the models before the neural ones: Python's documentation by character, by counting.

Bits per character on the test part, so that each can be read beside the others (nats / ln 2):

    frequencies alone 4.62, Markov chain of order 1 3.51, 2 2.59, 3 2.07, 4 1.95, hidden Markov model 2.96
    simple recurrent network 3.24 (rnn-python-docs), GPT of 0.1M parameters 2.19 (python-docs-gpt)

On 300,000 characters and within a minute, counting what follows four characters beats the neural models here; it
keeps 7.9 million numbers for it, the GPT 0.1 million.
"""

from __future__ import annotations

from sevenfold.recipes._catalogue import Measured, recipe
from sevenfold.runs.recipe import DataChoice, ModelChoice, Recipe, Schedule


@recipe(measured=Measured("test_loss", 1.349, 0.001))
def markov_chain_python_docs() -> Recipe:
    """A Markov chain of order 4 counts which character follows which four in Python's documentation.

    Command:  sevenfold train markov-chain-python-docs
    Hardware: one CPU core
    Time:     20 s of CPU time
    Result:   test loss 1.349 nats a character (1.95 bits), standard deviation 0.001 over seeds 0 to 2, which differ
              in the last windows that 99.3% of one pass leaves out. Seed 0 of order 3 (--set model.order=3) 1.438
              nats, of order 2 1.797, of order 1 2.432; frequencies alone 3.20 (CPython 3.11's text)
    """
    return Recipe(
        name="markov-chain-python-docs",
        task="causal-lm",
        model=ModelChoice(name="markov-chain-small", settings={"order": 4}),
        data=DataChoice(name="python-docs", settings={"tokenizer": "char", "context": 64}),
        schedule=Schedule(name="constant", warmup_fraction=0.0),
        batch_size=64,
        steps=73,
        threads=1,
    )


@recipe(measured=Measured("test_loss", 2.052, 0.011))
def hidden_markov_python_docs() -> Recipe:
    """A hidden Markov model of 128 states learns Python's documentation by expectation maximization.

    Command:  sevenfold train hidden-markov-python-docs
    Hardware: one CPU core
    Time:     22 s of CPU time
    Result:   test loss 2.052 nats a character (2.96 bits), standard deviation 0.011 over seeds 0 to 2, with 29,696
              probabilities; the Markov chain of order 1 has 10,609 and comes to 2.432, of order 2 1.1 million and
              1.797 (CPython 3.11's text)
    """
    return Recipe(
        name="hidden-markov-python-docs",
        task="causal-lm",
        model=ModelChoice(name="hidden-markov-small"),
        data=DataChoice(name="python-docs", settings={"tokenizer": "char", "context": 64}),
        schedule=Schedule(name="constant", warmup_fraction=0.0),
        batch_size=64,
        steps=590,
        evaluate_every=295,
        threads=1,
    )
