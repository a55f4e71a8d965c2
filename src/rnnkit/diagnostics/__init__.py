"""Looking at what a network learned and how it got there."""
