"""What readers share below a table: bytes to text, broken text to values, documents to paragraphs, cells as people see them."""
