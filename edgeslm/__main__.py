"""`python -m edgeslm` is `edgeslm`."""

from edgeslm.cli import main

main()
