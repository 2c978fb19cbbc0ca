"""Curation: what decides whether a record is kept."""
