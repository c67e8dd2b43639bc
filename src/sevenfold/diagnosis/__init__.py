"""Designs probes, analyses run records and costs, and says what binds. Torch-free.

facts       what is known before probing        probes      what a probe is, and who carries it out
engine      rounds, budget, ties, the result    pace        how fast probes go, and what still fits
ledger      every outcome by setting and seed   rows        one file a constraint: wishes, effect, row
effects     paired differences, joint draws     laws        L = floor + scale x^-b
decide      what binds                          advice      what to do, and the first sentence
result      the diagnosis as data               showing     no digit that the interval does not support
evidence    curves and provenance               report      terminal and page
"""
