"""`python -m pushline` is the same as the `pushline` script."""

from pushline.cli import main

if __name__ == "__main__":
    main()
