"""What `baton doctor` looks at: each module a subject, each function some findings.

None of them changes anything, and none says a secret. Printing belongs in the command.
"""
