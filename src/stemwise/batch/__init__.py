"""Catalogues: many songs, planned, separated by workers, journalled, verified and reported."""
