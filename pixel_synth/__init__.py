"""pixel_synth: psychology knowledge into training conversations of proven quality."""

__version__ = "0.1.0"
