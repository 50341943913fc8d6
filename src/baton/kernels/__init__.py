"""Compiled loops that make something that libraries do fast: one function each, by a paper.

Each has a slow and exact equal in a library, which its tests ask, and which is used where the
kernel does not understand a model or would not pay. What decides about that belongs to whoever
calls. Loops are compiled once and kept on disk; they hold no lock of Python's, so that threads run
them side by side, and start no threads of their own, so that a process may fork after using them.
"""
