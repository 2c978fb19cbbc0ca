"""Quality over stages, runs and training: points, drift, alerts."""
