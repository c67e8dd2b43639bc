"""Learning from what people prefer: the losses of reward models, of policies held to a reference, and of DPO.

losses       Bradley-Terry over all pairs of a prompt; DPO; rewards with a penalty a token
preferring   how a language model is called by the task preference: DPO's margins
comparing    answers of a run, drawn and ranked before another begins; DPO's reference; the zero of rewards
answers      answers drawn with the cache; how likely models find them; divergences
feedback     PPO on texts: what a batch of answers was worth a token; the clipped surrogate
critic       V of each token
texts        the learner of the task rlhf: answer, be judged, update
asking       what a recipe of the task rlhf computes: policy, prompts, reward
running      from a recipe of the task rlhf to its run record
best_of      the best of n answers, without learning

Comparisons as data are `sevenfold.data.comparisons`; labellers and their errors `sevenfold.data.labellers`.
"""
