"""HTML pages of the demo, of attention maps and of reports: one template, one stylesheet."""
