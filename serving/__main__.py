"""``python -m serving`` is the serve process."""

import gc

if __name__ == "__main__":
    gc.disable()  # nothing of what is imported is garbage, and looking takes a fifth of the time
    import baton  # noqa: F401  its sources count
    from serving.warm import sources

    loaded = sources()  # before the imports: what is edited meanwhile counts as not loaded
    from serving.serve import main

    main(loaded=loaded)
