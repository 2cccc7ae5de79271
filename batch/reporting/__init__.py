"""What people and monitors are told of the nights."""
