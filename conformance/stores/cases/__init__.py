"""What must hold with a bucket behind the edges. Each case has a bucket's folder, an origin's repository and its edges to itself."""
