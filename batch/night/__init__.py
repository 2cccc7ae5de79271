"""One night: what is done in which order, and the sweep through `incoming`."""
