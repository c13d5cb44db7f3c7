"""The sections of the report: what each shows, and how to read it."""
