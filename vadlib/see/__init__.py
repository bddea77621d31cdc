"""What is seen before anything is learned: motion, things that move, words for them."""
