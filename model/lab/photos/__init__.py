"""Photos on disk: finding and reading them, their masks, and the folder that an extraction writes."""
