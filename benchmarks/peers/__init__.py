"""Programs that Baton is measured beside, each in an environment of its own.

What a program is asked belongs in a script here, which imports nothing of Baton; which packages it
needs, in the text file of the same name.
"""
