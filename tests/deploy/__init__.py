"""Tests of what puts the program into containers and clusters."""
