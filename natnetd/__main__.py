"""`python3 -m natnetd`."""

import sys

from natnetd.cli import main

sys.exit(main())
