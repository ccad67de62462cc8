"""The environments: a scalar and a native vector skin over the same batch of trials."""
