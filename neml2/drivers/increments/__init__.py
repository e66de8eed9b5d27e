"""Steps of a point's own choice between two rows, and the events that are found inside them."""
