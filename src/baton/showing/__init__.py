"""What people look at: plots, the report, the page of a notebook."""
