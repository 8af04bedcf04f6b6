"""A run in numbers and in words: report, page, model card, comparisons, incidents."""
