"""Judging: what models should say, how they learn it, who answers (the network too), and what answers are worth."""
