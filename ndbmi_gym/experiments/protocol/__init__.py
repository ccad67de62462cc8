"""What is run in the loop: the 24 x 10 protocol, conditions, volition, geometry of maps."""
