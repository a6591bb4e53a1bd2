"""Training data: tracks on disk, changes to their sources, and random excerpts mixed anew."""
