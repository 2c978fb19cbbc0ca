"""What can be shown of a dataset after it was made: that it is whole, what changed, how its quality moves."""
