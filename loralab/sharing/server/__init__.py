"""Owns the web application that others ask: it knows deployments only. It never imports torch: answers are written in workers behind it."""
