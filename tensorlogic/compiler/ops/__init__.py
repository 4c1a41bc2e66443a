"""The op table and its entries, a file for each group of language.md, section 8."""
