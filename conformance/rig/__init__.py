"""What the conformance folders share: the lab folder, foreign programs, processes, content and a pusher."""
