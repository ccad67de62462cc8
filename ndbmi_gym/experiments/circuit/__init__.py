"""The stability-optimised circuit: by itself, and as the cortex in the closed loop."""
