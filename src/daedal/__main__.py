"""`python -m daedal` is the `daedal` command."""

from daedal.cli.main import main

main()
