"""How things are said: numbers and lists as text, progress, what a notebook shows."""
