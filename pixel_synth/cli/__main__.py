"""``python -m pixel_synth.cli``."""

import sys

from pixel_synth.cli import main

sys.exit(main())
