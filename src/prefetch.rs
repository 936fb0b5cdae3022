//! Fetching what is expected before it is asked for: within a budget, and never in the way of a client.
