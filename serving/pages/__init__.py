"""Baton's own web pages: a process of its own, its pages rendered here and asking nobody else.

A page is a module with ``ROUTER``, and with ``LINK`` where the navigation leads to it;
``application`` lists them. What all of them share is in ``layout``, ``forms`` and ``desk``.
"""
