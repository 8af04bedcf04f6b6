"""A kind of training that is not about text, in three files: it shows that nothing else has to be touched for one."""
