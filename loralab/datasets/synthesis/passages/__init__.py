"""Owns documents: their text with pages, cut into headings, paragraphs and list items, sections and passages; read in a bounded process."""
