"""The HTML page of probe reports: one file that needs neither network nor script."""
