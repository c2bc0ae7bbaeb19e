"""`python -m omniroute_app` is `omniroute`."""

from omniroute_app.cli import main

main()
