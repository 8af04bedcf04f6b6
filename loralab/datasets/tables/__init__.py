"""What the columns and rows of a table mean: names, shapes, layouts of programs, marks, pairs, files that belong together."""
