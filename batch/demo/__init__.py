"""`full_batch.sh --demo`: a night with drawn photos."""
