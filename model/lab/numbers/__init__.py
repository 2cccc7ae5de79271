"""Photos as numbers: backgrounds, colours, image quality, and the sets of them that models learn from."""
