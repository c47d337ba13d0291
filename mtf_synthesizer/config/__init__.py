"""gin files and bindings as users give them, and requests made of them."""
