"""Training on pictures: one session, and what is asked of pictures (their class, masks, boxes) a file each."""
