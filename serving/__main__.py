"""``python -m serving`` is the serve process."""

from serving.serve import main

if __name__ == "__main__":
    main()
