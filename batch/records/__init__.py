"""What is known of every photo: the ledger, and the tables that are written from it."""
