"""Order: one flow a file, and ``serve.py``, the process that runs them."""
