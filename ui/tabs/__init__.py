"""The five tabs, one file each. They do not know each other: what they share is in ui.page."""
