"""Does volition adapt to a hidden force, and does it show when the force goes? The study."""
