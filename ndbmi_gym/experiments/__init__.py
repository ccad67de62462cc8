"""The paper's experiments, run on the batched loop."""
