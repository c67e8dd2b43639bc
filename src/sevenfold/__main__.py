"""``python -m sevenfold`` is the command line."""

from sevenfold.cli import main

if __name__ == "__main__":
    main()
