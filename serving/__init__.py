"""The processes that run the flows: serve process, template, embedded server and its pages."""
