"""The book: chapters executed, pages staged and built."""
