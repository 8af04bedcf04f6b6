"""What people and models say to each other, however a file writes it: turns, chats, who speaks, and what becomes messages."""
