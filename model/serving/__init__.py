"""What answers: bytes to pixels, pixels to scores, scores to answers. No PyTorch, but where DEVICE asks for a GPU."""
