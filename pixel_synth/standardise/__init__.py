"""Rows of any known shape become `Conversation` records: read, detect, convert; what cannot be is told with file, line and reason."""
