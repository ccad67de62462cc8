"""Tables, statistics, batches that resume, and figures: what every study uses."""
