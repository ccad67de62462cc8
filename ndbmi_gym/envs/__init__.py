"""The environments: a scalar and a native vector skin over the same batch of trials.

A goal-conditioned skin (dictionary observations, batched `compute_reward`) would stand beside them.
"""
