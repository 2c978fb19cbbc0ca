"""Which records make the dataset, in which shares, and in which split."""
