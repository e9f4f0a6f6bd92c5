"""The command line as `python -m pumice`."""

from pumice.cli import entry_point

if __name__ == "__main__":
    entry_point()
