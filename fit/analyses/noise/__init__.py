"""The noise of one training, and ladders resampled with it, on which every comparison of measured shapes rests."""
