"""`python -m sagadsl_bank` is the command `bank`."""

import sys

from sagadsl_bank.cli import main

sys.exit(main())
