"""Speed and memory of our models beside their peers and beside what the machine can do; see README.md."""
