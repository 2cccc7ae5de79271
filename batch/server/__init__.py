"""The model server as the night sees it: starting it, asking it, stopping it."""
