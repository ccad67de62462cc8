"""The paper's experiments and others, run on the batched loop, in rooms that build on each other.

`bench` (tables, statistics, batches, pictures) and `protocol` (what is run in the loop) stand on
their own; `vato2014` reproduces the paper with them, `recovery` searches for its parameters,
`circuit` studies the stability-optimised circuit, and `adaptation` volition under hidden forces.
"""
