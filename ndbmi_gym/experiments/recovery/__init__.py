"""Search for the parameters that the text does not give, and what it says of them."""
