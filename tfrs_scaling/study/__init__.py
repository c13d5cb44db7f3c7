"""What a study is, and where its files are."""
