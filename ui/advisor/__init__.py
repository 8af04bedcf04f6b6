"""The advisor on the screen: its panel, notes, questions, wishes and the page of what it remembers."""
