"""What every room stands on: records, events, errors, paths, plug-ins, digests, the disk. Imports no other room."""
