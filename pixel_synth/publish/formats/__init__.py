"""The forms in which a dataset is written; each module is one, and its name is the key of ``--format`` (see `publish.dataset_files`)."""
