"""Input and output: tasks that read, call ``baton`` and persist, track or announce.

Thinking belongs in ``src/baton``, the order of tasks in ``flows/``.
"""
