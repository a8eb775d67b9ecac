"""What a node is asked of one partition that it owns."""
