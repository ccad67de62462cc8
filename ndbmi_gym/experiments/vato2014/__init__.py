"""Vato et al. 2014: a module for each figure, the claims, and what they are judged on."""
