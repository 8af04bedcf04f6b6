"""A run's life: started, queued, watched, ended; the worker process and the supervisor that waits for it."""
