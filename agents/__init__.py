"""Learning agents for `ndbmi_gym`; run from the checkout, as in ``python -m agents.train``."""
