"""What people decide by day: written down before anything moves, finished after any death, undone exactly.

Every function takes an open `Ledger`; a `Ledger` belongs to one thread. No name of a person is ever logged here.
"""
