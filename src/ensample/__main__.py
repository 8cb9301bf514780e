"""`python -m ensample VERB`: the command line."""

from ensample.cli.main import main

if __name__ == "__main__":
    main()
