"""The advisor on the screen: its panel, notes, questions, goals and the page of what it remembers."""
