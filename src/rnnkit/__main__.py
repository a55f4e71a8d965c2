"""The command line as ``python -m rnnkit``, for where the command ``rnnkit`` is not on the path."""

from rnnkit.cli.start import main

if __name__ == "__main__":
    main()
