"""Learning from what people prefer: the losses of reward models, of policies held to a reference, and of DPO.

losses       Bradley-Terry over all pairs of a prompt; DPO; rewards with a penalty a token

Comparisons as data are `sevenfold.data.comparisons`; labellers and their errors `sevenfold.data.labellers`.
"""
