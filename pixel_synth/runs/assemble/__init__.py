"""The stages of a dataset, one file each; ``pipelines/dataset.py`` puts them in their order."""
