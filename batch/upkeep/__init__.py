"""What a person starts or sets up: checking, putting back, pruning, starting every night."""
