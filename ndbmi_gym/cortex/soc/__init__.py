"""A stability-optimised circuit as the motor cortex: its weights, its transients, its spikes."""
