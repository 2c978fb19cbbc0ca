"""A run: its directory, the chain that writes one slot, the distilabel steps, and the supervisor of the processes."""
