"""What learns: photos and labels in, a run out."""
