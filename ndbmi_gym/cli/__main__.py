"""``python -m ndbmi_gym.cli``."""

import sys

from ndbmi_gym.cli import main

sys.exit(main())
